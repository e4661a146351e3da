use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedWriteHalf},
};

use crate::{Done, List};

/// What comes goes to all as it is: the floor for anything on tokio.
pub(crate) async fn fan_out(io: TcpStream, list: List<OwnedWriteHalf>) -> Done {
    let (mut reader, mut writer) = io.into_split();
    {
        let mut list = list.lock().await;
        // There is no handshake that says so.
        writer.write_all(b"+").await?;
        list.push(writer);
    }
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = reader.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        for writer in list.lock().await.iter_mut() {
            writer.write_all(&buffer[..n]).await?;
        }
    }
}
