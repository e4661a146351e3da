//! The echo server of socketioxide, on one thread, with the events of `examples/socketio_echo`, as its documentation
//! has it: over axum.

use std::io;

use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
};
use tokio::net::TcpListener;

/// What the others decode events to as well: anything. It holds no binary, so that what is binary has a type of its own.
type Value = serde_json::Value;

fn main() -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (layer, io) = SocketIo::builder().max_payload(4 << 20).build_layer();
        io.ns("/", async |socket: SocketRef| {
            socket.join("room");
            socket.on("msg", async |socket: SocketRef, Data(said): Data<Value>| {
                let _ = socket.emit("msg", &said);
            });
            socket.on("bin", async |socket: SocketRef, Data(bytes): Data<bytes::Bytes>| {
                let _ = socket.emit("bin", &bytes);
            });
            socket.on("ack", async |Data(said): Data<Value>, ack: AckSender| {
                let _ = ack.send(&said);
            });
            socket.on("bcast", async |io: SocketIo, Data(said): Data<Value>| {
                let _ = io.to("room").emit("bcast", &said).await;
            });
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let app = axum::Router::new().layer(layer);
        axum::serve(axum::serve::ListenerExt::tap_io(listener, |tcp| drop(tcp.set_nodelay(true))), app).await
    })
}
