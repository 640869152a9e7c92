//! SCRAM-SHA-256 (RFC 5802 <https://www.rfc-editor.org/rfc/rfc5802>, RFC 7677 <https://www.rfc-editor.org/rfc/rfc7677>) of one who logs in.
//! Passwords are taken as they are: those whose `SASLprep` form is another one are not known by it.
//!
//! Never: proves a password to whoever asks for fewer rounds than the standard has, or for so many that it would take long.

use std::num::NonZeroU32;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::{digest, hmac, pbkdf2};

/// Rounds that a server may ask for.
const ROUNDS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

/// A login under way.
pub(super) struct Scram {
    first: String,
    nonce: String,
    signature: Option<Vec<u8>>,
}

impl Scram {
    /// Begins, with a nonce that nobody has used.
    pub(super) fn new(user: &str, nonce: &str) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self { first: format!("n={user},r={nonce}"), nonce: nonce.to_owned(), signature: None }
    }

    /// What is said first.
    pub(super) fn hello(&self) -> String {
        format!("n,,{}", self.first)
    }

    /// What is answered to the server's first message; none where that is none.
    pub(super) fn answer(&mut self, server: &str, password: &str) -> Option<String> {
        let field = |name: &str| server.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = field("r=")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return None;
        }
        let salt = BASE64.decode(field("s=")?).ok()?;
        let rounds: u32 = field("i=")?.parse().ok().filter(|rounds| ROUNDS.contains(rounds))?;
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, NonZeroU32::new(rounds)?, &salt, password.as_bytes(), &mut salted);
        let ends = format!("c=biws,r={nonce}");
        let all = format!("{},{server},{ends}", self.first);
        let client_key = sign(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, &client_key);
        let signature = sign(stored.as_ref(), all.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        self.signature = Some(sign(&sign(&salted, b"Server Key"), all.as_bytes()));
        Some(format!("{ends},p={}", BASE64.encode(proof)))
    }

    /// Whether the server's last message proves that it knows the password too.
    pub(super) fn knows(&self, server: &str) -> bool {
        let said = server.split(',').find_map(|part| part.strip_prefix("v=")).and_then(|said| BASE64.decode(said).ok());
        said.is_some() && said == self.signature
    }
}

fn sign(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::Scram;

    /// The exchange of section 3 of RFC 7677.
    #[test]
    fn the_exchange_of_the_standard_is_spoken() {
        let mut scram = Scram::new("user", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.hello(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(
            scram.answer(first, "pencil").unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(scram.knows("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!scram.knows("v=AAAA") && !scram.knows("e=other-error"));
    }

    #[test]
    fn a_server_that_asks_for_too_little_or_too_much_gets_no_proof() {
        for server in [
            "r=other,s=AAAA,i=4096",
            "r=abcX,s=AAAA,i=1",
            "r=abcX,s=AAAA,i=2000000000",
            "r=abcX,s=?,i=4096",
            "r=abc,s=AAAA,i=4096",
        ] {
            assert_eq!(Scram::new("u", "abc").answer(server, "p"), None, "{server}");
        }
        assert_eq!(Scram::new("a=b,c", "x").hello(), "n,,n=a=3Db=2Cc,r=x");
    }
}
