//! Certificates on the way to an engine. Promise: a file that is missing, or a certificate that is not accepted on either side, is named.

use std::{error::Error, io, path::Path};

use rustls::{
    AlertDescription, CertificateError,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{call::quoted, endpoint::FILES};
use crate::model::text::plain;

/// Whether the files of a directory can be used: a clause where they cannot. All of them may be missing: then the authorities of this machine vouch for the
/// engine, and we are nobody.
pub(super) fn usable(directory: &Path) -> Result<(), String> {
    let [ca, cert, key] = FILES.map(|name| directory.join(name));
    let shown = |path: &Path| plain(&path.display().to_string()).into_owned();
    let certificates = |path: &Path| {
        let all: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        match all {
            Ok(all) if all.is_empty() => Err(format!("there is no certificate in {}", shown(path))),
            Ok(all) => Ok(all),
            Err(error) => Err(format!("{} cannot be read: {}", shown(path), quoted(&error.to_string()))),
        }
    };
    if !directory.is_dir() {
        return Err(format!("there is no directory {} of certificates", shown(directory)));
    }
    if ca.exists() {
        certificates(&ca)?;
    }
    if !cert.exists() && !key.exists() {
        return Ok(());
    }
    let chain = certificates(&cert)?;
    let cannot = |why: &str| format!("{} cannot be used: {}", shown(&key), quoted(why));
    let secret = PrivateKeyDer::from_pem_file(&key).map_err(|error| cannot(&error.to_string()))?;
    let secret = rustls::crypto::ring::sign::any_supported_type(&secret).map_err(|error| cannot(&error.to_string()))?;
    match rustls::sign::CertifiedKey::new(chain, secret).keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(format!("{} is not the key of {}", shown(&key), shown(&cert)))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What is wrong with a connection, a clause, where it is TLS that is wrong with it.
#[expect(clippy::wildcard_enum_match_arm, reason = "enums of others: the rest is told in their words")]
pub(super) fn trouble(error: &(dyn Error + 'static), directory: &Path) -> Option<String> {
    let at = |name: &str| plain(&directory.join(name).display().to_string()).into_owned();
    let mut cause = Some(error);
    let causes = std::iter::from_fn(|| {
        let this = cause?;
        cause = this.source();
        Some(this)
    });
    let found = causes.take(16).find_map(of_io)?;
    Some(match found {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("its certificate is not signed by whom {} vouches for", at(FILES[0]))
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("its certificate is for another name: {}", quoted(&why.to_string()))
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            other => format!("its certificate is not valid: {}", quoted(&other.to_string())),
        },
        rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => {
            let (cert, is_there) = (at(FILES[1]), directory.join(FILES[1]).exists());
            if is_there {
                format!("it does not accept the certificate {cert}")
            } else {
                format!("it wants to see a certificate, and there is no {cert}")
            }
        }
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS, which DOCKER_TLS_VERIFY or Docker's context asks for".to_owned()
        }
        other => quoted(&other.to_string()),
    })
}

/// The error of the TLS library hides inside I/O errors, one within the other.
fn of_io<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(outer) => outer.get_ref().and_then(|inner| of_io(inner)),
        None => error.downcast_ref(),
    }
}
