//! Without the feature `tls`.

use crate::recorder::{Mode, RecorderExt as _, recorder};
use portolan_machine::{Protocol, Refusal, SocketEvent};

#[tokio::test]
async fn orders_for_tls_are_refused_as_unsupported() {
    let mut driver = recorder(Mode::Record);
    let unsupported = SocketEvent::Refused(Refusal::Unsupported);
    driver.order(Protocol::TlsListen, "127.0.0.1:0", |open| open);
    assert_eq!(driver.socket_event().await, unsupported);
    let remote = "127.0.0.1:9".parse().unwrap();
    driver.order(Protocol::Tls, "0.0.0.0:0", |open| open.towards(remote).named("turn.example".into()));
    assert_eq!(driver.socket_event().await, unsupported);
}
