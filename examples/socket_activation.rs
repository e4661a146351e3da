//! An echo server whose listener systemd has opened: it starts with the first client, loses none while it is restarted, and
//! says 1001 to those it has when it is to stop.
//!
//! ```text
//! # echo.socket
//! [Socket]
//! ListenStream=127.0.0.1:9001
//!
//! # echo.service
//! [Service]
//! ExecStart=/usr/local/bin/socket_activation
//! ```
//!
//! By hand: `systemd-socket-activate -l 127.0.0.1:9001 target/release/examples/socket_activation`.

use sockeye::{Error, Server};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = listenfd::ListenFd::from_env()
        .take_tcp_listener(0)?
        .ok_or("no listener came with the environment: LISTEN_FDS and LISTEN_PID say which, as systemd sets them")?;
    listener.set_nonblocking(true)?;
    let server = Server::from_listener(TcpListener::from_std(listener)?);
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        terminate.recv().await;
    };
    server
        .serve_until(
            |mut ws, _request| async move {
                while let Some(message) = ws.recv().await? {
                    ws.send(message).await?;
                }
                Ok::<_, Error>(())
            },
            stop,
        )
        .await?;
    Ok(())
}
