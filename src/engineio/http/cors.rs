use std::{fmt, sync::Arc};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, CONTENT_LENGTH, ORIGIN, VARY,
    },
};

/// Whose pages may talk to the server from a browser (the CORS protocol of <https://fetch.spec.whatwg.org/>).
///
/// Without it, only pages of the same host may. It holds for WebSockets too, to which browsers do not apply it: one that a
/// page of another origin asks for is refused.
///
/// ```
/// use sockeye::engineio::Cors;
/// let cors = Cors::origins(["https://app.example.com"]).credentials();
/// ```
#[derive(Clone)]
pub struct Cors {
    origins: Origins,
    credentials: bool,
    exposed: Option<HeaderValue>,
    max_age: Option<u32>,
}

#[derive(Clone)]
enum Origins {
    Any,
    Listed(Arc<[String]>),
    Judged(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl Cors {
    /// Every page there is. Not for a server that knows its users by cookies.
    pub const fn any() -> Self {
        Self::new(Origins::Any)
    }

    /// Pages of these origins, as browsers write them: `https://example.com`, with a port if it is not the scheme's.
    pub fn origins<I>(origins: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self::new(Origins::Listed(origins.into_iter().map(Into::into).collect()))
    }

    /// Pages of the origins for which `judge` says yes.
    pub fn judge(judge: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self::new(Origins::Judged(Arc::new(judge)))
    }

    const fn new(origins: Origins) -> Self {
        Self { origins, credentials: false, exposed: None, max_age: None }
    }

    /// Lets them send cookies and such (default: not).
    #[must_use]
    pub const fn credentials(mut self) -> Self {
        self.credentials = true;
        self
    }

    /// Lets them read a header of the responses beside the few that everybody may.
    ///
    /// # Panics
    ///
    /// If it is no header's name.
    #[must_use]
    pub fn expose(mut self, header: &str) -> Self {
        let name = HeaderName::from_bytes(header.as_bytes()).expect("the name of a header");
        let all = match &self.exposed {
            Some(others) => [others.as_bytes(), b",", name.as_str().as_bytes()].concat(),
            None => name.as_str().into(),
        };
        self.exposed = Some(HeaderValue::from_bytes(&all).expect("names are tokens"));
        self
    }

    /// Sets for how many seconds a browser may remember the answer to a preflight (default: as it likes).
    #[must_use]
    pub const fn max_age(mut self, seconds: u32) -> Self {
        self.max_age = Some(seconds);
        self
    }

    /// Whether a page of this origin is let in.
    pub(in crate::engineio) fn allows(&self, origin: &str) -> bool {
        match &self.origins {
            Origins::Any => true,
            Origins::Listed(listed) => listed.iter().any(|allowed| allowed == origin),
            Origins::Judged(judge) => judge(origin),
        }
    }

    /// Puts what a browser wants to know into any response.
    pub(in crate::engineio) fn mark(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if matches!(self.origins, Origins::Any) && !self.credentials {
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            response.append(VARY, HeaderValue::from_static("Origin"));
            let origin = request.get(ORIGIN).filter(|origin| origin.to_str().is_ok_and(|origin| self.allows(origin)));
            if let Some(origin) = origin {
                response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            }
        }
        if self.credentials {
            response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let Some(exposed) = &self.exposed {
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }

    /// Puts the answer to a preflight into its response.
    pub(in crate::engineio) fn answer_preflight(&self, request: &HeaderMap, response: &mut HeaderMap) {
        self.mark(request, response);
        response.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE"));
        response.append(VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
        if let Some(asked) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            response.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        if let Some(seconds) = self.max_age {
            response.insert(ACCESS_CONTROL_MAX_AGE, seconds.into());
        }
        response.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }

    /// Whether a request is a preflight.
    pub(in crate::engineio) fn is_preflight(method: &Method) -> bool {
        method == Method::OPTIONS
    }
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins: &dyn fmt::Debug = match &self.origins {
            Origins::Any => &"any",
            Origins::Listed(listed) => listed,
            Origins::Judged(_) => &"judged",
        };
        f.debug_struct("Cors").field("origins", origins).field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(cors: &Cors, origin: &'static str) -> HeaderMap {
        let mut response = HeaderMap::new();
        cors.mark(&HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]), &mut response);
        response
    }

    #[test]
    fn a_listed_origin_is_named_and_another_is_not() {
        let cors = Cors::origins(["https://a.example"]).credentials();
        let response = marked(&cors, "https://a.example");
        assert_eq!(response[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.example");
        assert_eq!(response[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        let response = marked(&cors, "https://b.example");
        assert_eq!(response.get(ACCESS_CONTROL_ALLOW_ORIGIN), None);
        assert_eq!(response[VARY], "Origin");
    }

    #[test]
    fn any_origin_is_a_star_but_with_credentials_it_is_named() {
        assert_eq!(marked(&Cors::any(), "https://a.example")[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        let named = marked(&Cors::any().credentials(), "https://a.example");
        assert_eq!(named[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.example");
    }

    #[test]
    fn a_preflight_is_allowed_the_headers_that_it_asks_for() {
        let request =
            HeaderMap::from_iter([(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("x-app,x-other"))]);
        let mut response = HeaderMap::new();
        Cors::any().max_age(60).expose("x-a").expose("x-b").answer_preflight(&request, &mut response);
        assert_eq!(response[ACCESS_CONTROL_ALLOW_HEADERS], "x-app,x-other");
        assert_eq!(response[ACCESS_CONTROL_MAX_AGE], "60");
        assert_eq!(response[ACCESS_CONTROL_EXPOSE_HEADERS], "x-a,x-b");
    }
}
