//! Any HTTP endpoint: the notice as JSON, or what a template makes of it.
//!
//! Never: a body without a bound.

use std::collections::BTreeMap;

use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};

use super::{http, reveal};
use crate::model::{
    alarm::{NotSent, Notice},
    route::Concealed,
    template,
};

/// Bytes of one body.
const BODY_BYTES: usize = 1 << 20;

/// Sends a notice.
pub(super) async fn send(
    url: &Concealed,
    method: &str,
    headers: &BTreeMap<String, Concealed>,
    body: Option<&str>,
    notice: &Notice,
) -> Result<String, NotSent> {
    let url = reveal(url).await?;
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| NotSent::for_good(format!("\"{method}\" is not an HTTP method")))?;
    let mut request = http::request(method, &url.0)?;
    let mut content = "application/json".to_owned();
    for (name, value) in headers {
        let value = reveal(value).await?;
        let bad = || NotSent::for_good(format!("header {name} cannot be sent as it is"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        if name == CONTENT_TYPE {
            content = value.0;
            continue;
        }
        let mut value = HeaderValue::from_str(&value.0).map_err(|_| bad())?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    let body = match body {
        None => serde_json::to_string(notice).map_err(|error| NotSent::for_good(error.to_string()))?,
        Some(words) => template::fill(words, notice, content.contains("json"))
            .map_err(|why| NotSent::for_good(format!("its body cannot be made: {why}")))?,
    };
    if body.len() > BODY_BYTES {
        return Err(NotSent::for_good("its body is more than 1 MiB"));
    }
    http::finish(request.header(CONTENT_TYPE, content).body(body)).await
}
