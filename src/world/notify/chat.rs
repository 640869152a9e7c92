//! Messages to rooms in which people talk: Slack, Discord, Teams, Telegram, ntfy.
//!
//! Never: a mention that was in the text of a server; more than a vendor takes (what is longer is cut).

use serde_json::{Value, json};

use super::{cut, http, reveal};
use crate::model::{
    alarm::{Level, NotSent, Notice, NoticeKind},
    route::Concealed,
};

/// What a message looks like: red, amber, green, grey.
#[derive(Clone, Copy)]
enum Tone {
    Bad,
    Warning,
    Good,
    Neutral,
}

impl Tone {
    const fn of(notice: &Notice) -> Self {
        match (notice.kind, notice.severity) {
            (NoticeKind::Resolved, _) => Self::Good,
            (NoticeKind::Test | NoticeKind::Digest, _) => Self::Neutral,
            (NoticeKind::Firing | NoticeKind::Reminder, Level::Critical) => Self::Bad,
            (NoticeKind::Firing | NoticeKind::Reminder, Level::Warning) => Self::Warning,
        }
    }

    /// As 0xRRGGBB.
    const fn colour(self) -> u32 {
        match self {
            Self::Bad => 0x00D3_2F2F,
            Self::Warning => 0x00F9_A825,
            Self::Good => 0x002E_7D32,
            Self::Neutral => 0x0060_7D8B,
        }
    }
}

/// An incoming webhook: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>, colours by attachments
/// (<https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments>).
pub(super) async fn slack(url: &Concealed, notice: &Notice) -> Result<String, NotSent> {
    let body = json!({
        "text": escaped(&notice.title),
        "attachments": [{
            "color": format!("#{:06X}", Tone::of(notice).colour()),
            "fallback": escaped(&notice.title),
            "text": escaped(&cut(&notice.text, 3000)),
            "footer": escaped(&format!("cas on {}", notice.host)),
        }],
    });
    http::post(&reveal(url).await?.0, &[], &body).await
}

/// The three characters that Slack's text gives a meaning to (<https://docs.slack.dev/messaging/formatting-message-text>, "Escaping text").
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Execute Webhook: <https://docs.discord.com/developers/resources/webhook#execute-webhook>.
pub(super) async fn discord(url: &Concealed, notice: &Notice) -> Result<String, NotSent> {
    let body = json!({
        "username": "cas",
        "embeds": [{
            "title": cut(&notice.title, 256),
            "description": cut(&notice.text, 4000),
            "color": Tone::of(notice).colour(),
            "timestamp": notice.at,
            "footer": { "text": cut(&format!("cas on {}", notice.host), 200) },
        }],
        "allowed_mentions": { "parse": [] },
    });
    http::post(&reveal(url).await?.0, &[], &body).await
}

/// A Workflows webhook takes an adaptive card in a message:
/// <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>.
pub(super) async fn teams(url: &Concealed, notice: &Notice) -> Result<String, NotSent> {
    let colour = match Tone::of(notice) {
        Tone::Bad => "Attention",
        Tone::Warning => "Warning",
        Tone::Good => "Good",
        Tone::Neutral => "Default",
    };
    let line = |text: &str| json!({ "type": "TextBlock", "text": cut(text, 2000), "wrap": true });
    let mut blocks: Vec<Value> = vec![json!({
        "type": "TextBlock",
        "text": cut(&notice.title, 500),
        "weight": "Bolder",
        "size": "Medium",
        "color": colour,
        "wrap": true,
    })];
    blocks.extend(notice.text.lines().take(20).map(line));
    blocks.push(
        json!({ "type": "TextBlock", "text": format!("cas on {}", notice.host), "isSubtle": true, "wrap": true }),
    );
    let body = json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": blocks,
            },
        }],
    });
    http::post(&reveal(url).await?.0, &[], &body).await
}

/// sendMessage of the Bot API: <https://core.telegram.org/bots/api#sendmessage>. Plain text: nothing in it has a meaning. What is not critical rings
/// nowhere.
pub(super) async fn telegram(token: &Concealed, chat: &str, url: &str, notice: &Notice) -> Result<String, NotSent> {
    let silent = !matches!(Tone::of(notice), Tone::Bad);
    let body = json!({
        "chat_id": chat,
        "text": cut(&format!("{}\n{}\ncas on {}", notice.title, notice.text, notice.host), 4096),
        "disable_notification": silent,
        "link_preview_options": { "is_disabled": true },
    });
    let token = reveal(token).await?;
    http::post(&format!("{}/bot{}/sendMessage", url.trim_end_matches('/'), token.0), &[], &body).await
}

/// Publish as JSON, which goes to the server itself with the topic in it: <https://docs.ntfy.sh/publish/#publish-as-json>.
pub(super) async fn ntfy(url: &Concealed, token: Option<&Concealed>, notice: &Notice) -> Result<String, NotSent> {
    let url = reveal(url).await?;
    let whole = url.0.trim_end_matches('/');
    let parts = whole
        .rsplit_once('/')
        .filter(|(server, topic)| server.contains("://") && !server.ends_with('/') && !topic.is_empty());
    let Some((server, topic)) = parts else {
        return Err(NotSent::for_good("its URL has no topic: write it like https://ntfy.sh/my-topic"));
    };
    let (priority, tag) = match Tone::of(notice) {
        Tone::Bad => (5, "rotating_light"),
        Tone::Warning => (3, "warning"),
        Tone::Good => (3, "white_check_mark"),
        Tone::Neutral => (2, "information_source"),
    };
    let body = json!({
        "topic": topic,
        "title": cut(&notice.title, 250),
        "message": cut(&format!("{}\ncas on {}", notice.text, notice.host), 3800),
        "priority": priority,
        "tags": [tag],
    });
    let bearer = match token {
        Some(token) => Some(format!("Bearer {}", reveal(token).await?.0)),
        None => None,
    };
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    http::post(server, &headers, &body).await
}
