//! What a server shows of itself in a TLS handshake: its certificates, and what is wrong with them. Everything is accepted here, to be told;
//! nothing but the handshake is sent over such a connection.
//!
//! Never: used to decide whether a server is ready.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
};

use super::{super::wire, clause};
use crate::{
    model::{
        exam::{Grade, Measure, Reading, Target, Trouble},
        time::short_duration,
    },
    world::clock,
};

/// Most certificates of a chain that are looked at.
const MOST: usize = 10;
/// Most names of a certificate that are told.
const NAMES: usize = 4;

/// The certificates that were shown, and what a verification says of them.
type Record = (Vec<CertificateDer<'static>>, Result<(), Error>);

/// Accepts every certificate, and writes down what a verification says.
#[derive(Debug)]
struct Recorder {
    verifier: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    record: Mutex<Option<Record>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = match &self.verifier {
            Some(verifier) => verifier
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(|_verified| ()),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        };
        let chain = std::iter::once(end_entity).chain(intermediates).take(MOST).map(|one| one.clone().into_owned());
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = Some((chain.collect(), verdict));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

async fn configuration(target: &Target) -> Result<(ClientConfig, Arc<Recorder>), Trouble> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let store = wire::roots().await;
    let verifier = WebPkiServerVerifier::builder_with_provider(store, Arc::clone(&provider)).build().ok();
    let recorder = Arc::new(Recorder { verifier, provider: Arc::clone(&provider), record: Mutex::new(None) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Trouble::Foreign(format!("TLS with {} cannot be used: {error}", target.place())))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    Ok((config, recorder))
}

/// A configuration that accepts every certificate. For a look at a server that cannot be verified, without credentials.
pub(super) async fn accepting(target: &Target) -> Result<ClientConfig, Trouble> {
    configuration(target).await.map(|(config, _)| config)
}

/// The option `tls-name` must be a host name: an address would lead elsewhere.
pub(super) fn checked_name(name: &str) -> Result<ServerName<'static>, Trouble> {
    let wrong = || Trouble::Refused(format!("the option tls-name={} of its check is not a host name", clause(name)));
    let parsed = ServerName::try_from(name.to_owned()).map_err(|_| wrong())?;
    if matches!(parsed, ServerName::DnsName(_)) { Ok(parsed) } else { Err(wrong()) }
}

/// What was seen in a handshake.
pub(super) struct Seen {
    chain: Vec<CertificateDer<'static>>,
    verdict: Result<(), Error>,
    version: &'static str,
    name: String,
}

/// Shakes hands, and says no more.
pub(super) async fn see(target: &Target) -> Result<Seen, Trouble> {
    let place = target.place();
    let name = match target.options.get("tls-name") {
        Some(name) => checked_name(name)?,
        None => ServerName::try_from(target.host.clone())
            .map_err(|_| Trouble::Unreachable(format!("{} is not a host name", target.host)))?,
    };
    let shown = target.options.get("tls-name").unwrap_or(&target.host).clone();
    let (config, recorder) = configuration(target).await?;
    let stream = wire::connect_tcp(target).await?;
    let shaken = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = shaken.map_err(|error| handshake_trouble(&error, target))?;
    let version = match stream.get_ref().1.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        Some(_) | None => "TLS",
    };
    let record = recorder.record.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (chain, verdict) = record.ok_or_else(|| Trouble::Foreign(format!("{place} shows no certificate")))?;
    Ok(Seen { chain, verdict, version, name: shown })
}

/// What a handshake that failed means.
fn handshake_trouble(error: &std::io::Error, target: &Target) -> Trouble {
    let place = target.place();
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    match cause {
        Some(Error::InvalidMessage(_)) => {
            Trouble::Foreign(format!("{place} does not speak TLS; is it http:// and not https://?"))
        }
        Some(Error::AlertReceived(rustls::AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_)) => {
            Trouble::Foreign(format!("{place} speaks no TLS that is safe (1.2 or 1.3): {}", clause(&error.to_string())))
        }
        Some(_) => Trouble::Foreign(format!("TLS with {place} failed: {}", clause(&error.to_string()))),
        None => wire::broken(error, target),
    }
}

impl Seen {
    /// Whether a client that verifies would go on.
    pub(super) const fn is_trusted(&self) -> bool {
        self.verdict.is_ok()
    }

    /// Adds how long the certificates are valid, and what is wrong with them.
    pub(super) fn report(&self, target: &Target, reading: &mut Reading) {
        let parsed: Vec<_> =
            self.chain.iter().filter_map(|der| X509Certificate::from_der(der).ok().map(|(_, one)| one)).collect();
        let now = clock::now().wall_us.div_euclid(1_000_000);
        let Some(own) = parsed.first() else {
            let sentence = "its certificate cannot be read".to_owned();
            reading.remark("tls", Grade::Critical, sentence, Some("make it anew"));
            return;
        };
        let soonest = parsed.iter().min_by_key(|one| one.validity().not_after.timestamp()).unwrap_or(own);
        let left = soonest.validity().not_after.timestamp() - now;
        let about = format!(
            "{}, signed by {}, {}",
            clause(&soonest.subject().to_string()),
            clause(&soonest.issuer().to_string()),
            self.version
        );
        reading.measure(Measure::new("certificate", left as f64).about(clause(&about)));
        for (grade, sentence, advice) in self.faults(&parsed, now) {
            reading.remark("tls", grade, sentence, Some(advice));
        }
        if !self.is_trusted() && super::has_credentials(target) {
            let sentence = "it was asked without user and password, as it cannot be told who it is";
            reading.remark("tls", Grade::Notice, sentence, None);
        }
    }

    /// All that is wrong with a chain, the server's own certificate first; `now` in seconds since 1970.
    fn faults(&self, chain: &[X509Certificate<'_>], now: i64) -> Vec<(Grade, String, &'static str)> {
        let mut faults = Vec::new();
        for one in chain {
            let (from, until) = (one.validity().not_before, one.validity().not_after);
            let which = clause(&one.subject().to_string());
            if until.timestamp() < now {
                let ago = short_duration(seconds(now - until.timestamp()));
                let sentence = format!("its certificate expired {ago} ago ({which}, until {until})");
                faults.push((Grade::Critical, sentence, "renew it, and let the server load it"));
            } else if from.timestamp() > now {
                let sentence = format!("its certificate is not valid yet ({which}, from {from})");
                faults.push((Grade::Critical, sentence, "see the clocks of both machines, then the certificate"));
            }
        }
        let names = chain.first().map(names).unwrap_or_default();
        if !covers(&names, &self.name) {
            let known = if names.is_empty() { "no name at all".to_owned() } else { shown(&names) };
            let asked = clause(&self.name);
            faults.push((
                Grade::Critical,
                format!("its certificate has the wrong name: it is for {known}, and it was asked as {asked}"),
                "ask it by a name of its certificate (option tls-name), or make one with this name",
            ));
        }
        faults.extend(self.issuer_words(chain));
        if let (Err(error), true) = (&self.verdict, faults.is_empty()) {
            let sentence = format!("its certificate cannot be trusted: {}", clause(&error.to_string()));
            faults.push((Grade::Critical, sentence, "see the certificate"));
        }
        faults
    }

    /// Why nobody vouches for it, where that is so.
    fn issuer_words(&self, chain: &[X509Certificate<'_>]) -> Option<(Grade, String, &'static str)> {
        let (own, top) = (chain.first()?, chain.last()?);
        let is_unknown = match &self.verdict {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => true,
            // A certificate that is both an authority's and the server's own.
            Err(Error::InvalidCertificate(CertificateError::Other(OtherError(why)))) => {
                why.to_string().contains("CaUsedAsEndEntity")
            }
            Ok(()) | Err(_) => false,
        };
        // Where a date is wrong, nobody has looked for the issuer yet.
        let is_own = own.subject() == own.issuer();
        if !is_unknown && !is_own {
            return None;
        }
        let issuer = clause(&top.issuer().to_string());
        Some(if is_own {
            let sentence = format!(
                "its certificate is self-signed: nobody else vouches for {}",
                clause(&own.subject().to_string())
            );
            (
                Grade::Warning,
                sentence,
                "where that is meant, add it to the trusted certificates of this machine; otherwise have one signed",
            )
        } else if top.subject() == top.issuer() {
            let sentence = format!("its certificate has an unknown issuer: {issuer} is not trusted by this machine");
            (
                Grade::Warning,
                sentence,
                "add that authority to the trusted certificates of this machine (update-ca-certificates)",
            )
        } else if has_issuer_address(top) {
            let sentence = format!(
                "its chain of certificates is incomplete: it does not send {issuer}, who signed {}",
                clause(&top.subject().to_string())
            );
            (
                Grade::Critical,
                sentence,
                "let it send the intermediate certificates, too (fullchain.pem rather than cert.pem)",
            )
        } else {
            let sentence = format!(
                "its certificate has an unknown issuer: {issuer} is neither sent with it nor trusted by this machine"
            );
            (
                Grade::Warning,
                sentence,
                "let it send the intermediate certificates, too, or trust that authority on this machine",
            )
        })
    }
}

fn seconds(count: i64) -> std::time::Duration {
    std::time::Duration::from_secs(u64::try_from(count).unwrap_or(0))
}

/// Whether it says where its issuer's certificate can be had (RFC 5280, 4.2.2.1), as public authorities do.
fn has_issuer_address(certificate: &X509Certificate<'_>) -> bool {
    let mut extensions = certificate.extensions().iter();
    extensions.any(|extension| matches!(extension.parsed_extension(), ParsedExtension::AuthorityInfoAccess(_)))
}

/// The names of a certificate: its alternative names (RFC 6125 knows no others where there are some).
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let general = alternative.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    general.iter().filter_map(name_of).collect()
}

fn name_of(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name {
        return Some((*name).to_owned());
    }
    let GeneralName::IPAddress(bytes) = name else { return None };
    if let Ok(four) = <[u8; 4]>::try_from(*bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(*bytes).ok().map(|sixteen| std::net::Ipv6Addr::from(sixteen).to_string())
}

fn shown(names: &[String]) -> String {
    let mut words = names.iter().take(NAMES).map(|name| clause(name)).collect::<Vec<_>>().join(", ");
    if names.len() > NAMES {
        words = format!("{words} and {} more", names.len() - NAMES);
    }
    words
}

/// Whether one of the names is that of the host; `*` stands for one first label (RFC 6125, 6.4.3).
fn covers(names: &[String], host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    names.iter().map(|name| name.to_ascii_lowercase()).any(|name| {
        name == host
            || name
                .strip_prefix("*.")
                .is_some_and(|rest| host.split_once('.').is_some_and(|(_, parent)| parent == rest))
    })
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_star_stands_for_one_label() {
        let names = ["*.example.org".to_owned(), "::1".to_owned()];
        assert!(covers(&names, "www.Example.org") && covers(&names, "::1"));
        assert!(!covers(&names, "example.org") && !covers(&names, "a.b.example.org") && !covers(&[], "localhost"));
    }
}
