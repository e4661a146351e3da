//! Runs the cases of an Autobahn fuzzing server: `autobahn_client ws://127.0.0.1:9001 AGENT`. See `autobahn/run`.

use sockeye::{DeflateConfig, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(agent)) = (args.next(), args.next()) else {
        eprintln!("usage: autobahn_client URL AGENT");
        std::process::exit(2);
    };
    let mut ws = sockeye::connect(&*format!("{url}/getCaseCount")).await?;
    let count: u32 = match ws.recv().await? {
        Some(message) => message.as_text().and_then(|text| text.parse().ok()).expect("a number of cases"),
        None => panic!("the fuzzing server gave no number of cases"),
    };
    for case in 1..=count {
        // A case may end in any way that its rule asks for; the server judges it.
        let _ = run_case(&format!("{url}/runCase?case={case}&agent={agent}")).await;
    }
    let mut ws = sockeye::connect(&*format!("{url}/updateReports?agent={agent}")).await?;
    while ws.recv().await?.is_some() {}
    Ok(())
}

async fn run_case(url: &str) -> Result<(), Error> {
    let mut ws = sockeye::connect(url).deflate(DeflateConfig::default()).await?;
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}
