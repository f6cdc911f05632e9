//! What the kubelet and Prometheus are answered, over a real socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use teleport_upgrade::kube::figures::Figures;
use teleport_upgrade::kube::probes::{Page, answer};

fn serving(page: Page, figures: &Figures) -> SocketAddr {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    answer(address, page, figures).unwrap();
    address
}

fn asked(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: pod\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap_or_default();
    format!("{status} {}", answer.split_once("\r\n\r\n").map_or("", |(_, body)| body))
}

#[test]
fn the_kubelet_is_told_that_it_lives_and_ready_once_the_workload_was_found() {
    let figures = Figures::default();
    let address = serving(Page::Health, &figures);
    assert_eq!(asked(address, "/healthz"), "200 ok");
    assert_eq!(asked(address, "/readyz"), "503 the workload was not found yet\n");
    figures.found();
    assert_eq!(asked(address, "/readyz"), "200 ok");
    assert_eq!(asked(address, "/metrics"), "404 not found\n");
    assert!(
        asked(serving(Page::Metrics, &figures), "/metrics")
            .contains("# TYPE teleport_kube_agent_updater_reconciles_total counter\n")
    );
}

#[test]
fn clients_that_say_nothing_are_sent_away_and_do_not_keep_the_kubelet_out() {
    let figures = Figures::default();
    let address = serving(Page::Health, &figures);
    let mut silent: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(address).unwrap()).collect();
    for _ in 0..20 {
        assert_eq!(asked(address, "/healthz"), "200 ok");
    }
    // Long before its time is up, since others have come.
    let first = silent.first_mut().unwrap();
    first.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    assert_eq!(first.read_to_end(&mut Vec::new()).unwrap(), 0);
}
