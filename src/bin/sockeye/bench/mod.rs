//! `sockeye bench`
use crate::{args::BenchArgs, exit::Status, output::Style};
pub(crate) async fn run(_args: BenchArgs, _style: Style) -> std::io::Result<Status> {
    Ok(Status::Clean)
}
