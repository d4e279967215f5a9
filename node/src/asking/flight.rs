//! One question from its sending to its end.

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::{Request, RequestErrorKind};
use async_nats::connection::State as Link;
use bytes::Bytes;
use pannier_core::live::{LiveAnswer, LiveQuestion};
use pannier_protocol::ask::{BadReply, LiveRows, Question, Reply, Says};
use pannier_protocol::{Encoding, Timestamp, codec};
use pannier_streams::Broker;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::timeout;

use super::Desk;
use crate::clock::Moment;
use crate::limits::ASK_READ_EARLIER_MAX_MS;
use crate::metrics::OfOutcome;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(
        "as many questions as the source may have are under way; raise ask.in_flight if it can take more"
    )]
    Busy,
    #[error("the source failed in a row and is left alone for a while")]
    Open,
    #[error("the broker is out of reach: {0}")]
    Broker(String),
    #[error("nobody answers questions for the source; start its adapter, or take `ask` out of the policy")]
    NoResponders,
    #[error("no reply within {0:?}; see ask.wait_ms")]
    Late(Duration),
    #[error("the reply is none")]
    Garbage(#[source] BadReply),
    #[error("the source was read {0} ms before it was asked")]
    Old(u64),
    #[error("the source says: {0}")]
    Nothing(String),
}

impl Failed {
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Open => "open",
            Self::Broker(_) => "broker",
            Self::NoResponders => "no_responders",
            Self::Late(_) => "late",
            Self::Garbage(_) => "garbage",
            Self::Old(_) => "old",
            Self::Nothing(_) => "nothing",
        }
    }

    /// Whether it tells that the source does not work. One that declines does.
    pub(super) fn is_the_sources(&self) -> bool {
        match self {
            Self::NoResponders | Self::Late(_) | Self::Garbage(_) | Self::Old(_) => true,
            Self::Busy | Self::Open | Self::Broker(_) | Self::Nothing(_) => false,
        }
    }
}

/// A question under way.
pub(super) struct Asking {
    pub(super) leaving: Leaving,
    pub(super) broker: Broker,
    pub(super) subject: String,
    pub(super) wait: Duration,
    /// Broker time.
    pub(super) asked_at: Timestamp,
    pub(super) questions: Family<OfOutcome, Counter>,
    pub(super) duration: Histogram,
}

/// Takes the question off the desk however it ends, also where nobody ever waited for it.
pub(super) struct Leaving {
    pub(super) desk: Arc<Desk>,
    pub(super) number: u64,
    pub(super) question: LiveQuestion,
    pub(super) outcome: Option<Result<(), Failed>>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.desk.lock().leave(&self.question, self.number, self.outcome.take());
    }
}

impl Asking {
    pub(super) async fn run(mut self) -> Option<Arc<LiveAnswer>> {
        let question = self.leaving.question.clone();
        let began = Moment::now();
        let answered = timeout(self.wait, self.answer()).await.unwrap_or(Err(Failed::Late(self.wait)));
        self.duration.observe(began.elapsed().as_secs_f64());
        let outcome = answered.as_ref().err().map_or("answered", Failed::label);
        self.questions.get_or_create(&OfOutcome { outcome }).inc();
        match answered {
            Ok(rows) => {
                self.leaving.outcome = Some(Ok(()));
                Some(Arc::new(LiveAnswer { question, rows }))
            }
            Err(failed) => {
                let error = &failed as &dyn std::error::Error;
                tracing::debug!(source = %question.source, error, "a live question has no answer");
                self.leaving.outcome = Some(Err(failed));
                None
            }
        }
    }

    async fn answer(&self) -> Result<LiveRows, Failed> {
        let client = self.broker.client();
        if client.connection_state() != Link::Connected {
            // The client would keep the question until it is connected again.
            return Err(Failed::Broker("not connected".to_owned()));
        }
        let LiveQuestion { source, asked } = &self.leaving.question;
        let within_ms = u32::try_from(self.wait.as_millis()).unwrap_or(u32::MAX);
        let question = Question::new(asked.clone(), within_ms);
        let payload = codec::encode(Encoding::MessagePack, &question)
            .map_err(|error| Failed::Broker(error.to_string()))?;
        let request = Request::new().payload(Bytes::from(payload)).timeout(None);
        let sent = client.send_request(self.subject.clone(), request).await;
        let message = sent.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => Failed::NoResponders,
            RequestErrorKind::TimedOut => Failed::Late(self.wait),
            RequestErrorKind::InvalidSubject
            | RequestErrorKind::MaxPayloadExceeded
            | RequestErrorKind::Other => Failed::Broker(error.to_string()),
        })?;
        let headers = message.headers.as_ref();
        let content_type =
            headers.and_then(|headers| headers.get("Content-Type")).map(|value| value.as_str());
        let says = Encoding::of_content_type(content_type)
            .map_err(BadReply::from)
            .and_then(|encoding| Reply::decode(encoding, &message.payload, source, asked))
            .map_err(Failed::Garbage)?;
        match says {
            Says::Nothing(reason) => Err(Failed::Nothing(reason)),
            Says::Rows(rows) => self.young(rows),
        }
    }

    /// What was read before the question came answers it no better than the table.
    fn young(&self, rows: LiveRows) -> Result<LiveRows, Failed> {
        let earlier = self.asked_at.millis().saturating_sub(rows.read_at.millis());
        match u64::try_from(earlier) {
            Ok(earlier) if earlier > ASK_READ_EARLIER_MAX_MS => Err(Failed::Old(earlier)),
            Ok(_) | Err(_) => Ok(rows),
        }
    }
}
