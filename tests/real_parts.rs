//! What `cargo test` leaves out, as it needs more than Rust and a C compiler; CI runs both scripts.
//!
//! `cargo test -- --ignored` runs them from here. What needs features that are off is named as well.

use std::process::Command;

fn run(script: &str, args: &[&str]) {
    let status = Command::new(format!("{}/{script}", env!("CARGO_MANIFEST_DIR"))).args(args).status();
    assert!(status.expect("the script can be started").success(), "{script} {args:?} failed");
}

#[test]
#[ignore = "needs node, Python and chromium: tests/interop/run"]
fn interop_with_ws_websockets_and_chromium() {
    run("tests/interop/run", &[]);
}

#[test]
#[ignore = "needs Python 2.7 or Docker: autobahn/run all --quick"]
fn autobahn_quick() {
    run("autobahn/run", &["all", "--quick"]);
}

#[cfg(not(all(feature = "socketio", feature = "axum", feature = "rustls", feature = "native-tls", feature = "cli")))]
#[test]
#[ignore = "needs features: cargo test --all-features"]
fn tls_http2_hyper_axum_socketio_tracing_and_the_tool() {
    let status = Command::new(env!("CARGO")).args(["test", "--all-features"]).status();
    assert!(status.expect("cargo can be started").success());
}
