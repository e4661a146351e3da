//! The naive echo loop over a transport that costs nothing: what the library itself takes for each message.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use divan::{Bencher, counter::ItemsCount};
use sockeye::{
    Config, Error, Role, WebSocket,
    proto::{
        connection::{Connection, Inbox},
        frame::{MaskingKey, Opcode},
    },
    stream::serve_connection,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::masked;

/// Gives the same bytes at every other read, takes everything at once, and is never woken.
struct Treadmill {
    bytes: Vec<u8>,
    rests: bool,
}

impl AsyncRead for Treadmill {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.rests = !self.rests;
        if !self.rests {
            return Poll::Pending;
        }
        buf.put_slice(&self.bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Treadmill {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(divan::black_box(buf).len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn frames(payload_len: usize, count: usize) -> Vec<u8> {
    masked(Opcode::Binary, &vec![b'x'; payload_len]).repeat(count)
}

/// One wake of the connection's task: so many messages of so many bytes have come.
#[divan::bench(args = [(64, 20), (1, 20), (16, 20), (1, 1024), (16, 1024)], sample_size = 16)]
fn served_echo(bencher: Bencher<'_, '_>, (count, payload): (usize, usize)) {
    let io = Treadmill { bytes: frames(payload, count), rests: false };
    let connection = Connection::server(Config::new(Role::Server), None, Instant::now());
    let ws = WebSocket::new(io, connection, Inbox::new());
    let mut served = pin!(serve_connection(ws, |mut ws| async move {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok::<_, Error>(())
    }));
    let mut cx = Context::from_waker(Waker::noop());
    bencher.counter(ItemsCount::new(count)).bench_local(|| assert!(served.as_mut().poll(&mut cx).is_pending()));
}

/// As [`served_echo`], but nothing is sent.
#[divan::bench(args = [(64, 20), (1, 20), (16, 20), (1, 1024), (16, 1024)], sample_size = 16)]
fn served_sink(bencher: Bencher<'_, '_>, (count, payload): (usize, usize)) {
    let io = Treadmill { bytes: frames(payload, count), rests: false };
    let connection = Connection::server(Config::new(Role::Server), None, Instant::now());
    let ws = WebSocket::new(io, connection, Inbox::new());
    let mut served = pin!(serve_connection(ws, |mut ws| async move {
        while let Some(message) = ws.recv().await? {
            divan::black_box(message);
        }
        Ok::<_, Error>(())
    }));
    let mut cx = Context::from_waker(Waker::noop());
    bencher.counter(ItemsCount::new(count)).bench_local(|| assert!(served.as_mut().poll(&mut cx).is_pending()));
}

/// A client's masked messages: so many of so many bytes in one write.
#[divan::bench(args = [(1, 20), (64, 20), (64, 1024), (1, 1_048_576)], sample_size = 16)]
fn client_feed(bencher: Bencher<'_, '_>, (count, payload): (usize, usize)) {
    let io = Treadmill { bytes: vec![], rests: false };
    let mut byte = 0u8;
    let keys = move || {
        byte = byte.wrapping_add(1);
        MaskingKey([byte; 4])
    };
    let connection = Connection::client(Config::new(Role::Client), None, Box::new(keys), Instant::now());
    let mut ws = WebSocket::new(io, connection, Inbox::new());
    let payload = Bytes::from(vec![7; payload]);
    let mut cx = Context::from_waker(Waker::noop());
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let send = pin!(async {
            for _ in 0..count {
                ws.feed(payload.clone()).await?;
            }
            ws.flush().await
        });
        assert!(send.poll(&mut cx).is_ready());
    });
}
