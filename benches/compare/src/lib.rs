//! The comparison of sockeye with its peers: the load, the measurement and the report.
//!
//! ```text
//! benches/compare/run [--quick] [--record FILE.md] [CASES…]
//! ```

pub mod cases;
pub mod chart;
pub mod churn;
pub mod fan_out;
pub mod goals;
pub mod idle;
pub mod load;
pub mod payload;
pub mod peers;
pub mod report;
pub mod sample;
pub mod script;
pub mod server;
pub mod sink;
pub mod socketio;
pub mod wire;
