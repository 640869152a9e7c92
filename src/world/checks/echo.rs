//! WebSocket servers that send back what they are sent (RFC 6455, <https://www.rfc-editor.org/rfc/rfc6455>). Never: waits for more than a few messages.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use crate::{
    model::{
        exam::{Grade, Measure, Reading, Target, Trouble},
        own::figures,
    },
    world::{
        clock,
        kinds::{body::quoted, websocket, wire},
    },
};

/// Messages that may come before the echo: greetings.
const GREETINGS: usize = 20;
type Socket = WebSocketStream<wire::Connection>;

/// How long an echo takes, and whether another one comes after the connection was dropped.
pub(super) async fn look(target: &Target, text: &str) -> Result<Reading, Trouble> {
    let mut reading = Reading::default();
    let mut first = websocket::open(target).await?.stream;
    let begun = clock::now();
    echo(&mut first, target, text).await?;
    reading.measure(Measure::new(figures::LATENCY, clock::now().since(begun).as_secs_f64()));
    // Without a word of farewell, as a network that fails.
    drop(first);
    let again = async {
        let mut second = websocket::open(target).await?.stream;
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
