use fastwebsockets::{FragmentCollector, OpCode, WebSocketError, upgrade};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task};

pub(crate) async fn echo(io: TcpStream, writev: bool) -> crate::Done {
    let upgrade = service_fn(move |mut request| async move {
        let (response, upgraded) = upgrade::upgrade(&mut request)?;
        task::spawn(task::unconstrained(answer(upgraded, writev)));
        Ok::<_, WebSocketError>(response)
    });
    Ok(http1::Builder::new().serve_connection(TokioIo::new(io), upgrade).with_upgrades().await?)
}

async fn answer(upgraded: upgrade::UpgradeFut, writev: bool) -> Result<(), WebSocketError> {
    let mut ws = upgraded.await?;
    ws.set_writev(writev);
    let mut ws = FragmentCollector::new(ws);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}
