//! Runs the cases of an Autobahn fuzzing server: `autobahn_client ws://127.0.0.1:9001 AGENT`. See `autobahn/run`.
//!
//! Built with the feature `rustls` it takes a `wss://` URL, and two arguments more: the certificates to trust, and what to
//! say in the `Host` header.

use sockeye::{Connect, DeflateConfig, Error, connect};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(agent)) = (args.next(), args.next()) else {
        eprintln!("usage: autobahn_client URL AGENT [ROOTS.pem HOST]");
        std::process::exit(2);
    };
    let trusting = trust(args.next(), args.next())?;
    let mut ws = trusting(connect(&*format!("{url}/getCaseCount"))).await?;
    let count: u32 = match ws.recv().await? {
        Some(message) => message.as_text().and_then(|text| text.parse().ok()).expect("a number of cases"),
        None => panic!("the fuzzing server gave no number of cases"),
    };
    for case in 1..=count {
        // A case may end in any way that its rule asks for; the server judges it.
        let _ = run_case(trusting(connect(&*format!("{url}/runCase?case={case}&agent={agent}")))).await;
    }
    let mut ws = trusting(connect(&*format!("{url}/updateReports?agent={agent}"))).await?;
    while ws.recv().await?.is_some() {}
    Ok(())
}

async fn run_case(connect: Connect) -> Result<(), Error> {
    let mut ws = connect.deflate(DeflateConfig::default()).await?;
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// What makes a client trust the certificates of a file.
#[cfg(feature = "rustls")]
fn trust(roots: Option<String>, host: Option<String>) -> Result<impl Fn(Connect) -> Connect, Error> {
    let host = host.unwrap_or_default();
    let tls = roots.map(|file| sockeye::tls::ClientTls::with_roots(&std::fs::read(file)?).map_err(Error::from));
    let tls = tls.transpose()?;
    Ok(move |connect: Connect| match &tls {
        Some(tls) => connect.tls(tls.clone()).header("Host", &host),
        None => connect,
    })
}

#[cfg(not(feature = "rustls"))]
fn trust(roots: Option<String>, _host: Option<String>) -> Result<impl Fn(Connect) -> Connect, Error> {
    if roots.is_some() { Err(Error::NoTls) } else { Ok(|connect| connect) }
}
