//! Whether a broker answers: the first words of AMQP 0-9-1, spoken by hand because only the broker module knows AMQP.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a client says first: protocol 0-9-1.
const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";
/// Frame type 1 (method) on channel 0.
const FRAME: [u8; 3] = [1, 0, 0];
/// Class `connection`, method `start`.
const START: [u8; 4] = [0, 10, 0, 10];
/// A broker that listens answers in milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Whether an AMQP broker on loopback answers on `port` with `connection.start`.
pub(super) async fn answers(port: u16) -> bool {
    timeout(ANSWER_WITHIN, greet(port)).await.is_ok_and(|answer| answer.unwrap_or(false))
}

/// Whether somebody on loopback takes connections on `port`.
pub(super) async fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
}

async fn greet(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(GREETING).await?;
    // Type, channel, four bytes of length, then class and method.
    let mut head = [0; 11];
    stream.read_exact(&mut head).await?;
    Ok(head.starts_with(&FRAME) && head.ends_with(&START))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn server(answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer).await.unwrap();
        });
        port
    }

    #[tokio::test]
    async fn only_a_broker_is_taken_for_one() {
        assert!(answers(server(&[1, 0, 0, 0, 0, 1, 0, 0, 10, 0, 10, 0, 9]).await).await);
        assert!(!answers(server(b"HTTP/1.1 400 Bad Request\r\n\r\n").await).await);
        assert!(!answers(server(b"AMQP\x00\x00\x09\x01").await).await);
    }
}
