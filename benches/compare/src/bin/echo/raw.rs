use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What comes goes back: the floor for anything on tokio.
pub(crate) async fn echo(mut io: TcpStream) -> crate::Done {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match io.read(&mut buffer).await? {
            0 => return Ok(()),
            n => io.write_all(&buffer[..n]).await?,
        }
    }
}
