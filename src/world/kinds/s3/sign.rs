//! Signatures of requests to S3, version 4 (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>). Never: sends a secret key.

use ring::{digest, hmac};

/// What is signed: a GET without a body.
pub(super) struct Request<'a> {
    /// As it stands in the header `Host`.
    pub(super) host: &'a str,
    /// Encoded, with the first slash.
    pub(super) path: &'a str,
    /// Keys and values, encoded and sorted: `list-type=2&max-keys=1`.
    pub(super) query: &'a str,
    /// `20130524T000000Z`.
    pub(super) date: &'a str,
    /// `us-east-1`.
    pub(super) region: &'a str,
}

/// SHA-256 of nothing, in hexadecimal.
pub(super) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The value of the header `Authorization`; `x-amz-date` and `x-amz-content-sha256` are signed as well.
pub(super) fn authorization(request: &Request<'_>, key: &str, secret: &str) -> String {
    let Request { host, path, query, date, region } = request;
    let signed = "host;x-amz-content-sha256;x-amz-date";
    let canonical = format!(
        "GET\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{EMPTY}\nx-amz-date:{date}\n\n{signed}\n{EMPTY}"
    );
    let day = date.get(..8).unwrap_or(date);
    let scope = format!("{day}/{region}/s3/aws4_request");
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let mut signing = format!("AWS4{secret}").into_bytes();
    for part in [day, region, "s3", "aws4_request", &text] {
        signing = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &signing), part.as_bytes()).as_ref().to_vec();
    }
    format!("AWS4-HMAC-SHA256 Credential={key}/{scope},SignedHeaders={signed},Signature={}", hex(&signing))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|half| char::from_digit(u32::from(half), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Request, authorization};

    /// The examples "GET Bucket Lifecycle" and "Get Bucket (List Objects)" of the page above.
    #[test]
    fn the_examples_of_the_documentation_are_signed_as_it_says() {
        let signed = |query| {
            let request = Request {
                host: "examplebucket.s3.amazonaws.com",
                path: "/",
                query,
                date: "20130524T000000Z",
                region: "us-east-1",
            };
            authorization(&request, "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
        };
        assert!(
            signed("lifecycle=")
                .ends_with("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
        );
        assert!(
            signed("max-keys=2&prefix=J")
                .ends_with("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
        );
    }
}
