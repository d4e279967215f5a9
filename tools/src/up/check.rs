//! One documented lookup, as a newcomer would send it: what `--check` prints and judges.

use anyhow::{Context, bail};
use pannier_client::{HttpClient, Options};
use pannier_protocol::Encoding;
use pannier_protocol::api::LookupAnswer;
use serde_json::Value;

use crate::cli::data;
use crate::sample::requests::{self, Documented};

/// Sends the request; prints it and the answer; an error when the answer is not the documented one.
pub(super) async fn check(address: &str) -> anyhow::Result<()> {
    let documented = Documented::first()?;
    let client = HttpClient::new(address, Options::default())?;
    let answer = ask(&client, &documented).await?;
    data(serde_json::to_string_pretty(&documented.body()?)?)?;
    match serde_json::from_value::<LookupAnswer>(answer.clone()) {
        Ok(answer) => data(serde_json::to_string_pretty(&answer)?)?,
        Err(_) => data(serde_json::to_string_pretty(&answer)?)?,
    }
    match requests::difference(&documented.answer, &answer) {
        None => Ok(()),
        Some(difference) => bail!("the answer is not the documented one: {difference}"),
    }
}

/// Sends a documented request as a newcomer's curl does.
pub(super) async fn ask(client: &HttpClient, documented: &Documented) -> anyhow::Result<Value> {
    let body = serde_json::to_vec(&documented.request)?;
    let content_type = Encoding::Json.content_type();
    let response = client.post("/v1/price-availability", content_type, body).await?;
    let status = response.status().as_u16();
    let answer = serde_json::from_slice(response.body()).context("read the answer as JSON")?;
    if status != documented.status {
        bail!("status {status}, documented is {}: {answer}", documented.status);
    }
    Ok(answer)
}
