//! WebSocket servers that send back what they are sent (RFC 6455, <https://www.rfc-editor.org/rfc/rfc6455>). Never: waits for more than a few messages.

use futures_util::{SinkExt, StreamExt};
use ring::{digest, rand::SecureRandom};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role, protocol::WebSocketConfig},
};

use crate::{
    model::{
        exam::{Grade, Measure, Reading, Target, Trouble},
        own::figures,
    },
    world::{
        clock,
        kinds::{body::quoted, wire},
    },
};

/// Messages that may come before the echo: greetings.
const GREETINGS: usize = 20;
/// Most lines of a head, and most bytes of one.
const HEAD: (usize, usize) = (100, 8192);
/// Largest message that is taken.
const MOST: usize = 1 << 20;
/// RFC 6455, section 1.3.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

type Socket = WebSocketStream<BufReader<wire::Connection>>;

/// How long an echo takes, and whether another one comes after the connection was dropped.
pub(super) async fn look(target: &Target, text: &str) -> Result<Reading, Trouble> {
    let mut reading = Reading::default();
    let mut first = connect(target).await?;
    let begun = clock::now();
    echo(&mut first, target, text).await?;
    reading.measure(Measure::new(figures::LATENCY, clock::now().since(begun).as_secs_f64()));
    // Without a word of farewell, as a network that fails.
    drop(first);
    let again = async {
        let mut second = connect(target).await?;
        echo(&mut second, target, text).await?;
        // It may be gone already.
        let _gone = second.close(None).await;
        Ok::<(), Trouble>(())
    };
    if let Err(trouble) = again.await {
        let sentence = format!("after a dropped connection there is no second one: {trouble}");
        let advice = "see whether the server still holds the dropped one, and limits how many there may be";
        reading.remark("reconnect", Grade::Critical, sentence, Some(advice));
    }
    Ok(reading)
}

async fn echo(socket: &mut Socket, target: &Target, text: &str) -> Result<(), Trouble> {
    let place = target.place();
    let broke = |error: tokio_tungstenite::tungstenite::Error| {
        Trouble::Unreachable(quoted(&format!("the connection to {place} broke: {error}")))
    };
    socket.send(Message::text(text)).await.map_err(broke)?;
    let mut last = String::new();
    for _ in 0..GREETINGS {
        let Some(message) = socket.next().await else {
            return Err(Trouble::Unreachable(format!("{place} closed the connection instead of an echo")));
        };
        let message = message.map_err(broke)?;
        if message.is_close() {
            return Err(Trouble::Unreachable(format!("{place} closed the connection instead of an echo")));
        }
        if !message.is_text() && !message.is_binary() {
            continue;
        }
        let said = message.into_data();
        if said.as_ref() == text.as_bytes() {
            return Ok(());
        }
        last = quoted(&String::from_utf8_lossy(&said));
    }
    Err(Trouble::Foreign(format!("{place} does not send back what it is sent; the last that came: {last}")))
}

/// Opens a connection and turns it into a WebSocket (section 4.1).
async fn connect(target: &Target) -> Result<Socket, Trouble> {
    let place = target.place();
    let mut stream = BufReader::new(wire::connect(target).await?);
    let mut nonce = [0; 16];
    ring::rand::SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| Trouble::Foreign("this machine has no random numbers".to_owned()))?;
    let key = base64(&nonce);
    let path = if target.path.starts_with('/') { target.path.clone() } else { format!("/{}", target.path) };
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {place}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.map_err(|error| wire::broken(&error, target))?;
    stream.flush().await.map_err(|error| wire::broken(&error, target))?;
    let status = wire::line(&mut stream, HEAD.1).await.map_err(|error| wire::broken(&error, target))?;
    if status.split(' ').nth(1) != Some("101") {
        return Err(Trouble::Foreign(format!("{place} does not turn to WebSocket: {}", quoted(&status))));
    }
    let mut accepted = false;
    for _ in 0..HEAD.0 {
        let line = wire::line(&mut stream, HEAD.1).await.map_err(|error| wire::broken(&error, target))?;
        if line.is_empty() {
            if !accepted {
                break;
            }
            let config = WebSocketConfig::default().max_message_size(Some(MOST)).max_frame_size(Some(MOST));
            return Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("sec-websocket-accept")
        {
            accepted = value.trim() == accept(&key);
        }
    }
    Err(Trouble::Foreign(format!("{place} answers as a WebSocket and does not know the key that it was sent")))
}

/// What a server answers to a key (section 4.2.2).
fn accept(key: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(MAGIC);
    base64(context.finish().as_ref())
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let held = chunk.iter().enumerate().fold(0_u32, |held, (at, byte)| held | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            let letter = LETTERS[(held >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{accept, base64};

    #[test]
    fn a_key_is_answered_as_the_standard_has_it() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!([&b""[..], b"f", b"fo", b"foo"].map(base64), ["", "Zg==", "Zm8=", "Zm9v"]);
    }
}
