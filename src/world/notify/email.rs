//! E-mail over SMTP (RFC 5321), one message a connection.
//!
//! Never: in the clear where STARTTLS or TLS was asked for; a line of a server in a header.

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
        extension::ClientId,
    },
};

use super::{cut, reveal};
use crate::model::{
    alarm::{NotSent, Notice},
    route::{Mail, MailSecurity},
};

/// For each exchange with the server.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most characters of a subject (RFC 5322 folds them; longer ones are of no use).
const SUBJECT: usize = 200;

pub(super) async fn send(mail: &Mail, notice: &Notice) -> Result<String, NotSent> {
    // An error means that it is installed already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let message = message(mail, notice)?;
    let parameters = || {
        TlsParameters::new(mail.host.clone()).map_err(|error| NotSent::for_now(format!("TLS cannot be used: {error}")))
    };
    let tls = match mail.security {
        MailSecurity::None => Tls::None,
        MailSecurity::StartTls => Tls::Required(parameters()?),
        MailSecurity::Tls => Tls::Wrapper(parameters()?),
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(mail.host.clone())
        .port(mail.port)
        .tls(tls)
        .timeout(Some(PATIENCE))
        .hello_name(ClientId::Domain(notice.host.clone()));
    if let Some((user, password)) = &mail.login {
        let password = reveal(password).await?;
        transport = transport.credentials(Credentials::new(user.clone(), password.0));
    }
    let transport: AsyncSmtpTransport<Tokio1Executor> = transport.build();
    let sent = tokio::time::timeout(PATIENCE * 2, transport.send(message)).await;
    let place = format!("{}:{}", mail.host, mail.port);
    match sent {
        Err(_) => Err(NotSent::for_now(format!("{place} did not take it within {} s", 2 * PATIENCE.as_secs()))),
        Ok(Ok(response)) => Ok(format!("{place} has taken it with code {}", response.code())),
        Ok(Err(error)) => {
            let mut why = error.to_string();
            if let Some(cause) = std::error::Error::source(&error) {
                let cause = cause.to_string();
                if !why.contains(&cause) {
                    why = format!("{why}: {cause}");
                }
            }
            Err(NotSent {
                why: format!("{place}: {}", cut(&why, 160)),
                retry_after: None,
                is_final: error.is_permanent(),
            })
        }
    }
}

fn message(mail: &Mail, notice: &Notice) -> Result<Message, NotSent> {
    let address = |text: &str| {
        text.parse::<Mailbox>().map_err(|error| NotSent::for_good(format!("\"{text}\" is not an address: {error}")))
    };
    let mut message = Message::builder()
        .from(address(&mail.from)?)
        .subject(cut(&notice.title.split_whitespace().collect::<Vec<_>>().join(" "), SUBJECT))
        .date_now()
        .message_id(None)
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        message = message.to(address(to)?);
    }
    let mut text = format!("{}\n\n{}\n\n", notice.title, notice.text);
    for (name, value) in [
        ("severity", notice.severity.label()),
        ("incident", &notice.group),
        ("since", &notice.since),
        ("said at", &notice.at),
        ("machine", &notice.host),
    ] {
        text.extend([name, ": ", value, "\n"]);
    }
    message.body(text).map_err(|error| NotSent::for_good(format!("the message cannot be made: {error}")))
}
