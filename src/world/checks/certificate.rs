//! When certificates expire: those that a server shows, or those of a file. Never: trusts one for anything but its dates.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use super::{blocking, der, place, seconds_until, told};
use crate::{
    model::{
        exam::{Grade, Measure, Reading, Target, Trouble},
        own::{CertificateOf, figures},
    },
    world::{clock, kinds::body::quoted, kinds::wire},
};

/// Most bytes of a file.
const MOST: usize = 1 << 20;

/// The dates of the certificate that expires first.
pub(super) async fn look(of: &CertificateOf) -> Result<Reading, Trouble> {
    let (place, chain) = match of {
        CertificateOf::Server(target) => (target.place(), shown(target).await?),
        CertificateOf::File(file) => {
            let path = file.clone();
            (file.display().to_string(), blocking(move || of_file(&path)).await??)
        }
    };
    read(&place, &chain)
}

fn read(place: &str, chain: &[Vec<u8>]) -> Result<Reading, Trouble> {
    let certificates: Vec<(usize, der::Certificate)> =
        chain.iter().enumerate().filter_map(|(at, der)| Some((at, der::certificate(der)?))).collect();
    let Some((at, first)) = certificates.iter().min_by_key(|(_, certificate)| certificate.until) else {
        return Err(Trouble::Foreign(format!("{place} has no certificate that can be read")));
    };
    let mut reading = Reading::default();
    let whose = if first.name.is_empty() { String::new() } else { format!(" of {}", quoted(&first.name)) };
    let link = if *at == 0 { String::new() } else { format!(" (number {} of its chain)", at + 1) };
    let now = clock::now().wall_us;
    let ends = if first.until <= now { "it expired" } else { "it holds until" };
    let about = format!("the certificate{whose}{link}: {ends} {}", told(first.until));
    reading.measure(Measure::new(figures::EXPIRES, seconds_until(first.until)).about(about));
    for (_, certificate) in certificates.iter().filter(|(_, certificate)| certificate.from > now) {
        let sentence =
            format!("the certificate of {} holds only from {} on", quoted(&certificate.name), told(certificate.from));
        let advice = "wait until then, or see whether the clock of this machine is right";
        reading.remark("not-yet", Grade::Critical, sentence, Some(advice));
    }
    Ok(reading)
}

fn of_file(path: &Path) -> Result<Vec<Vec<u8>>, Trouble> {
    let bytes = place::read_file(path, MOST)?;
    if bytes.windows(11).any(|part| part == b"-----BEGIN ") {
        let found = CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).map(|der| der.to_vec());
        return Ok(found.collect());
    }
    Ok(vec![bytes])
}

/// What a server shows, also where nobody would trust it, or where it wants a certificate of ours.
async fn shown(target: &Target) -> Result<Vec<Vec<u8>>, Trouble> {
    let wrong = |what: String| Trouble::Foreign(format!("no TLS with {}: {what}", target.place()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let seen = Arc::new(Seen { provider: provider.clone(), chain: Mutex::default() });
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(seen.clone())
        .with_no_client_auth();
    let name = ServerName::try_from(target.host.clone()).map_err(|error| wrong(error.to_string()))?;
    let stream = wire::connect_tcp(target).await?;
    let connected = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let chain = std::mem::take(&mut *seen.chain.lock().unwrap_or_else(PoisonError::into_inner));
    match connected {
        Err(error) if chain.is_empty() => Err(wrong(error.to_string())),
        Ok(_) | Err(_) => Ok(chain),
    }
}

/// Takes whatever is shown, and keeps it: only its dates are read.
#[derive(Debug)]
struct Seen {
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<Vec<u8>>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).map(|der| der.to_vec()).collect();
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
