//! A session with PostgreSQL: what its tables say at one instant, and its log from there on.

use std::time::Duration;

use pgwire_replication::{Lsn, PgWireError, ReplicationClient, ReplicationConfig as Connection};

use super::config::ReplicationConfig;
use super::pgoutput::DecodeError;
use super::publication::{self, PublicationError, Schemas};
use super::table::{Id, Read, Table};
use crate::limits::{LOG_STATUS_INTERVAL, SNAPSHOT_ROWS_MAX};
use crate::tryton::ConfigError;

/// Why the log cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("PostgreSQL: {0}")]
    Wire(PgWireError),
    /// No repetition helps until somebody does something about it.
    #[error(
        "PostgreSQL refuses: {0}; check user, password and database of [replication], the user's rights (LOGIN, \
         REPLICATION, SELECT), the server's pg_hba.conf, and wal_level = logical"
    )]
    Denied(PgWireError),
    #[error("PostgreSQL ended the session")]
    Ended,
    #[error("the publication was changed")]
    Changed,
    #[error("PostgreSQL answers {what} with something else than expected")]
    Answer { what: &'static str },
    #[error(transparent)]
    Publication(#[from] PublicationError),
    #[error(
        "replication slot {slot} is of the plugin {plugin}, not pgoutput: give the adapter a slot of its own"
    )]
    Plugin { slot: String, plugin: String },
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The log repeats no large value that stayed the same, and here is none.
    #[error("the log leaves out {column} of {table} {id}, which was never read")]
    NotKept { table: String, id: Id, column: &'static str },
}

impl From<PgWireError> for LogError {
    fn from(error: PgWireError) -> Self {
        let is_denied = error.is_auth()
            || error.is_tls()
            || matches!(&error, PgWireError::Server(text) if is_denial(text));
        if is_denied { Self::Denied(error) } else { Self::Wire(error) }
    }
}

/// By the code at the end of what the server says: whoever restarts it or takes all its connections is not meant.
fn is_denial(text: &str) -> bool {
    let code = text.rsplit_once("(SQLSTATE ").map_or("", |(_, code)| code.trim_end_matches(')'));
    DENIALS.iter().any(|denial| code.starts_with(denial))
}

/// Codes, or classes of them: no such user or a wrong password, no such database, no right or no such thing, not supported,
/// not the `wal_level` for it, no room for another slot.
const DENIALS: [&str; 6] = ["28", "3D", "42", "0A", "55000", "53400"];

/// Who the server is, where its log ends, and from where the slot can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// With its timeline: one that was restored, and wrote on, says other things at the same places. And with what stands
    /// for the publication: what another one left out does not come any more.
    pub(super) system: String,
    pub(super) publication: String,
    end: Lsn,
    slot: Option<Slot>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    is_lost: bool,
    /// What is before it was told to be here, and does not come again.
    confirmed: Option<Lsn>,
}

impl Server {
    /// Whether what was read up to `at` can be followed by the slot. A server that was restored from a backup is
    /// behind it, or another one. A slot that begins later is not the one that was followed: somebody made it anew,
    /// or this adapter did and was stopped before it had read all tables.
    pub(super) fn goes_on(&self, system: &str, at: Lsn) -> bool {
        let reaches = |slot: &Slot| !slot.is_lost && slot.confirmed.is_some_and(|confirmed| confirmed <= at);
        self.system == system && at <= self.end && self.slot.as_ref().is_some_and(reaches)
    }
}

/// How to connect; reads the password's file.
pub(super) fn connection(config: &ReplicationConfig) -> Result<Connection, ConfigError> {
    let ReplicationConfig { host, user, database, slot, publication, .. } = config.clone();
    let password = config.password()?;
    Ok(Connection::new(host, user, password, database, slot, publication)
        .with_port(config.port)
        .with_status_interval(LOG_STATUS_INTERVAL)
        .with_application_name("pannier adapter tryton")
        // The server says twice in this time where it is, also when nothing happens; texts are the same everywhere.
        .with_options(format!("-c wal_sender_timeout={SENDER_TIMEOUT_MS} -c datestyle=ISO -c timezone=UTC")))
}

const SENDER_TIMEOUT_MS: u32 = 6_000;

/// One that answers questions and streams nothing.
pub(super) struct Session {
    client: ReplicationClient,
    connection: Connection,
}

fn texts(row: Vec<Option<bytes::Bytes>>) -> Vec<Option<String>> {
    let text = |bytes: bytes::Bytes| String::from_utf8_lossy(&bytes).into_owned();
    row.into_iter().map(|value| value.map(text)).collect()
}

impl Session {
    pub(super) async fn open(connection: &Connection) -> Result<Self, LogError> {
        let client = ReplicationClient::connect_gated(connection.clone()).await?;
        Ok(Self { client, connection: connection.clone() })
    }

    async fn ask(&mut self, sql: &str) -> Result<Vec<publication::Answer>, LogError> {
        Ok(self.client.simple_query(sql).await?.into_iter().map(texts).collect())
    }

    /// Where the tables are; refuses a publication that does not have all of them.
    pub(super) async fn schemas(&mut self) -> Result<Schemas, LogError> {
        let publication = self.connection.publication.names().concat();
        let operations = self.ask(&publication::operations_sql(&publication)).await?;
        let tables = self.ask(&publication::tables_sql(&publication)).await?;
        Ok(publication::check(&publication, &operations, &tables)?)
    }

    pub(super) async fn server(&mut self) -> Result<Server, LogError> {
        let system = self.client.identify_system().await?;
        let sql = format!(
            "SELECT plugin, wal_status, confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{}'",
            self.connection.slot
        );
        let mut slot = None;
        for row in self.ask(&sql).await? {
            let plugin = row.first().cloned().flatten().unwrap_or_default();
            if plugin != PLUGIN {
                return Err(LogError::Plugin { slot: self.connection.slot.clone(), plugin });
            }
            let text = |at: usize| row.get(at).and_then(Option::as_deref);
            let confirmed = text(2).and_then(|text| Lsn::parse(text).ok());
            slot = Some(Slot { is_lost: text(1) == Some("lost"), confirmed });
        }
        let (end, publication) = (system.xlogpos, self.publication().await?);
        let system = format!("{}/{}/{publication}", system.system_id, system.timeline);
        Ok(Server { system, publication, end, slot })
    }

    /// What stands for the publication as it is now.
    pub(super) async fn publication(&mut self) -> Result<String, LogError> {
        let schemas = self.ask(&publication::has_schemas_sql()).await?;
        let has_schemas = schemas.into_iter().flatten().flatten().next().is_some();
        let name = self.connection.publication.names().concat();
        Ok(publication::mark(&self.ask(&publication::marks_sql(&name, has_schemas)).await?))
    }

    /// Up to where the log is on the server's disk.
    pub(super) async fn end(&mut self) -> Result<Lsn, LogError> {
        let rows = self.ask("SELECT pg_current_wal_flush_lsn()").await?;
        let text = rows.into_iter().flatten().flatten().next();
        let end = text.and_then(|text| Lsn::parse(&text).ok());
        end.ok_or(LogError::Answer { what: "where its log ends" })
    }

    /// All rows of all tables as of the instant at which a new slot begins, and where that is. A slot that was there is
    /// dropped: what it kept is in no other place, and all that it would say is in what is read now.
    pub(super) async fn snapshot(&mut self, server: &Server) -> Result<(Lsn, Vec<Read>), LogError> {
        let slot = self.connection.slot.clone();
        if server.slot.is_some() {
            self.ask(&format!("SELECT pg_drop_replication_slot('{slot}')")).await?;
        }
        self.ask("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ").await?;
        let made = self.ask(&format!("CREATE_REPLICATION_SLOT {slot} LOGICAL {PLUGIN} USE_SNAPSHOT")).await?;
        let point = made.first().and_then(|row| row.get(1).cloned().flatten());
        let begin = point.and_then(|text| Lsn::parse(&text).ok());
        let begin = begin.ok_or(LogError::Answer { what: "where the new slot begins" })?;
        let mut reads = Vec::new();
        for table in Table::ALL {
            self.table(*table, &mut reads).await?;
        }
        self.ask("COMMIT").await?;
        Ok((begin, reads))
    }

    async fn table(&mut self, table: Table, reads: &mut Vec<Read>) -> Result<(), LogError> {
        let columns: String = table.columns().iter().map(|column| format!(", {column}::text")).collect();
        let mut after = Id::MIN;
        loop {
            let sql = format!(
                "SELECT id{columns} FROM {} WHERE id > {after} ORDER BY id LIMIT {SNAPSHOT_ROWS_MAX}",
                table.sql()
            );
            let rows = self.ask(&sql).await?;
            let is_last = rows.len() < SNAPSHOT_ROWS_MAX;
            for mut row in rows {
                let cells = row.split_off(1.min(row.len()));
                let id = row.pop().flatten().and_then(|text| text.parse().ok());
                after = id.ok_or(LogError::Answer { what: "a row" })?;
                reads.push(Read { table, id: after, cells: Some(cells) });
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// The log from `at` on, in a session of its own.
    pub(super) async fn stream(&self, at: Lsn) -> Result<ReplicationClient, LogError> {
        let mut client = ReplicationClient::connect(self.connection.clone().with_start_lsn(at)).await?;
        client.wait_started().await?;
        Ok(client)
    }
}

const PLUGIN: &str = "pgoutput";

/// How long a question may take.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_human_has_to_mend_is_told_from_what_passes() {
        let server = |text: &str| PgWireError::Server(text.to_owned());
        for (error, want) in [
            (server("password authentication failed for user \"pannier\" (SQLSTATE 28P01)"), true),
            (server("no pg_hba.conf entry for host \"10.0.0.1\", no encryption (SQLSTATE 28000)"), true),
            (server("database \"erp\" does not exist (SQLSTATE 3D000)"), true),
            (server("permission denied for table sale_sale (SQLSTATE 42501)"), true),
            (server("logical decoding requires wal_level >= logical (SQLSTATE 55000)"), true),
            (server("all replication slots are in use (SQLSTATE 53400)"), true),
            (server("the database system is starting up (SQLSTATE 57P03)"), false),
            (server("sorry, too many clients already (SQLSTATE 53300)"), false),
            (server("replication slot \"pannier\" is active for PID 28 (SQLSTATE 55006)"), false),
            (server("28P01"), false),
            (PgWireError::Auth("SCRAM server error: other-error".to_owned()), true),
            (PgWireError::Protocol("truncated".to_owned()), false),
        ] {
            let text = error.to_string();
            assert_eq!(matches!(LogError::from(error), LogError::Denied(_)), want, "{text}");
        }
    }

    #[test]
    fn only_the_slot_that_was_followed_goes_on() {
        let slot = |confirmed: u64| Slot { is_lost: false, confirmed: Some(Lsn(confirmed)) };
        let lost = Slot { is_lost: true, ..slot(10) };
        let begun = Slot { is_lost: false, confirmed: None };
        for (what, system, end, slot, want) in [
            ("nothing happened since", "a/1", 10, Some(slot(10)), true),
            ("told late", "a/1", 30, Some(slot(5)), true),
            ("no slot", "a/1", 30, None, false),
            ("its log was removed", "a/1", 30, Some(lost), false),
            ("a slot that begins after what was read", "a/1", 30, Some(slot(11)), false),
            ("a slot that was never ready", "a/1", 30, Some(begun), false),
            ("a restored server", "a/1", 9, Some(slot(5)), false),
            ("a restored server that wrote on", "a/2", 30, Some(slot(5)), false),
            ("another server", "b/1", 30, Some(slot(5)), false),
        ] {
            let (system, publication) = (system.to_owned(), String::new());
            let server = Server { system, publication, end: Lsn(end), slot };
            assert_eq!(server.goes_on("a/1", Lsn(10)), want, "{what}");
        }
    }
}
