//! Echoes every message over TLS, with a certificate that it makes itself.
//!
//! ```text
//! cargo run --release --features rustls --example wss_echo_server -- --listen 127.0.0.1:9443 --write-certificate /tmp/echo.pem
//! ```
//!
//! The certificate is for `localhost`, 127.0.0.1 and [::1], and is good until the server ends: a client that is to trust it
//! is given the file (`ClientTls::with_roots`). With `--certificate CHAIN.pem --key KEY.pem` it takes yours.

use std::{fs, process::ExitCode};

use sockeye::{DeflateConfig, Error, Limits, Server, tls::ServerTls};

const USAGE: &str = "usage: wss_echo_server [--listen ADDRESS] [--max-message BYTES]
                       [--write-certificate FILE | --certificate FILE --key FILE]";

#[derive(Default)]
struct Options {
    listen: String,
    max_message: Option<usize>,
    write_certificate: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match serve(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Option<Options> {
    let mut options = Options { listen: "127.0.0.1:9443".into(), ..Options::default() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--listen" => options.listen = args.next()?,
            "--max-message" => options.max_message = Some(args.next()?.parse().ok()?),
            "--write-certificate" => options.write_certificate = Some(args.next()?),
            "--certificate" => options.certificate = Some(args.next()?),
            "--key" => options.key = Some(args.next()?),
            _ => return None,
        }
    }
    (options.certificate.is_some() == options.key.is_some()).then_some(options)
}

async fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let (certificate, key) = match (options.certificate, options.key) {
        (Some(certificate), Some(key)) => (fs::read(certificate)?, fs::read(key)?),
        _ => {
            let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
            let made = rcgen::generate_simple_self_signed(names)?;
            (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes())
        }
    };
    if let Some(file) = options.write_certificate {
        fs::write(file, &certificate)?;
    }
    let mut limits = Limits::internet();
    if let Some(bytes) = options.max_message {
        limits = limits.max_message(bytes);
    }
    let server = Server::bind(options.listen).await?.limits(limits);
    let server = server.tls(ServerTls::from_pem(&certificate, &key)?).deflate(DeflateConfig::default());
    println!("listening on wss://{}", server.local_addr()?);
    let echo = server.serve(|mut ws, _request| async move {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok::<_, Error>(())
    });
    Ok(echo.await?)
}
