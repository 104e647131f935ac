//! Requests to the database, and their answers.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::DataRowBody;
use postgres_protocol::message::frontend;
use postgres_protocol::types::{ArrayDimension, array_to_sql};
use postgres_protocol::{IsNull, Oid};
use uuid::Uuid;

/// A parameter of a statement. Several rows are passed as one array for each column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A `bigint`, in binary form.
    Int(i64),
    /// A `text`, in UTF-8.
    Text(String),
    /// A `boolean`, in binary form.
    Bool(bool),
    /// A `uuid`, in binary form.
    Uuid(Uuid),
    /// An array of uuid.
    Uuids(Vec<Uuid>),
    /// An array of boolean.
    Bools(Vec<bool>),
    /// An array of bigint.
    Ints(Vec<i64>),
    /// An array of text.
    Texts(Vec<Option<String>>),
}

/// Object ids of types (`pg_type.dat`), which never change.
const INT8: Oid = 20;
const TEXT: Oid = 25;
const BOOL: Oid = 16;
const UUID: Oid = 2950;
const BOOLS: Oid = 1000;
const TEXTS: Oid = 1009;
const INT8S: Oid = 1016;
const UUIDS: Oid = 2951;

type Encoded = Result<IsNull, Box<dyn Error + Sync + Send>>;

impl Value {
    fn oid(&self) -> Oid {
        match self {
            Self::Int(_) => INT8,
            Self::Text(_) => TEXT,
            Self::Bool(_) => BOOL,
            Self::Uuid(_) => UUID,
            Self::Uuids(_) => UUIDS,
            Self::Bools(_) => BOOLS,
            Self::Ints(_) => INT8S,
            Self::Texts(_) => TEXTS,
        }
    }

    fn encode(&self, out: &mut BytesMut) -> Encoded {
        match self {
            Self::Int(value) => out.put_i64(*value),
            Self::Text(value) => out.put_slice(value.as_bytes()),
            Self::Bool(value) => out.put_u8(u8::from(*value)),
            Self::Uuid(value) => out.put_slice(value.as_bytes()),
            Self::Uuids(values) => {
                return array(UUID, values, out, |value, out| {
                    out.put_slice(value.as_bytes());
                    IsNull::No
                });
            }
            Self::Bools(values) => {
                return array(BOOL, values, out, |value, out| {
                    out.put_u8(u8::from(*value));
                    IsNull::No
                });
            }
            Self::Ints(values) => {
                return array(INT8, values, out, |value, out| {
                    out.put_i64(*value);
                    IsNull::No
                });
            }
            Self::Texts(values) => return array(TEXT, values, out, put_text),
        }
        Ok(IsNull::No)
    }
}

fn put_text(value: &Option<String>, out: &mut BytesMut) -> IsNull {
    match value {
        Some(text) => {
            out.put_slice(text.as_bytes());
            IsNull::No
        }
        None => IsNull::Yes,
    }
}

fn array<T>(
    element: Oid,
    values: &[T],
    out: &mut BytesMut,
    mut put: impl FnMut(&T, &mut BytesMut) -> IsNull,
) -> Encoded {
    let len = i32::try_from(values.len())?;
    let dimension = ArrayDimension {
        len,
        lower_bound: 1,
    };
    let dimensions = (len > 0).then_some(dimension);
    array_to_sql(
        dimensions,
        element,
        values,
        |value, out| Ok(put(value, out)),
        out,
    )?;
    Ok(IsNull::No)
}

/// A statement with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The SQL text.
    pub text: &'static str,
    /// The values of `$1` and so on.
    pub values: Vec<Value>,
}

/// The content of one transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Statements with values.
    Statements(Vec<Statement>),
    /// A script without parameters.
    Script(String),
}

/// Settings for this transaction only: the statement timeout, and warnings about commits
/// that did not wait for a standby.
const SETTINGS: &str = "SELECT set_config('statement_timeout', $1, true), \
                        set_config('client_min_messages', 'warning', true)";

impl Request {
    /// Encodes the request as one sequence of messages with a single answer, which
    /// PostgreSQL treats as one transaction without BEGIN and COMMIT. Statements are
    /// unnamed and nothing outlives the transaction, so that a pooler may use another
    /// connection for each.
    pub(super) fn encode(&self, timeout: Duration, out: &mut BytesMut) -> io::Result<()> {
        let millis = timeout.as_millis().to_string();
        match self {
            Self::Script(text) => {
                let timeout = format!("SELECT set_config('statement_timeout', '{millis}', true)");
                frontend::query(&format!("{timeout}; {text}"), out)
            }
            Self::Statements(statements) => {
                let settings = Statement {
                    text: SETTINGS,
                    values: vec![Value::Text(millis)],
                };
                settings.encode(out)?;
                for statement in statements {
                    statement.encode(out)?;
                }
                frontend::sync(out);
                Ok(())
            }
        }
    }

    /// Number of statements that return rows; the first one is the settings.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Statements(statements) => 1 + statements.len(),
            Self::Script(_) => 0,
        }
    }
}

impl Statement {
    fn encode(&self, out: &mut BytesMut) -> io::Result<()> {
        /// All values and columns use the binary format.
        const BINARY: [i16; 1] = [1];
        frontend::parse("", self.text, self.values.iter().map(Value::oid), out)?;
        frontend::bind("", "", BINARY, &self.values, Value::encode, BINARY, out).map_err(
            |error| match error {
                frontend::BindError::Conversion(error) => io::Error::other(error),
                frontend::BindError::Serialization(error) => error,
            },
        )?;
        frontend::execute("", 0, out)
    }
}

/// A row of an answer.
#[derive(Clone, Debug)]
pub struct Row(DataRowBody);

/// A column does not have the requested type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unexpected;

impl Row {
    pub(super) fn new(body: DataRowBody) -> Self {
        Self(body)
    }

    fn column(&self, index: usize) -> Result<Option<&[u8]>, Unexpected> {
        let mut ranges = self.0.ranges();
        let range = ranges
            .nth(index)
            .map_err(|_| Unexpected)?
            .ok_or(Unexpected)?;
        match range {
            None => Ok(None),
            Some(range) => self.0.buffer().get(range).map(Some).ok_or(Unexpected),
        }
    }

    /// The text in a column; `None` for null.
    ///
    /// # Errors
    /// There is no such column, or it is not UTF-8.
    pub fn text(&self, index: usize) -> Result<Option<&str>, Unexpected> {
        let text = self.column(index)?.map(std::str::from_utf8);
        text.transpose().map_err(|_| Unexpected)
    }

    /// The `bigint` in a column; 0 for null.
    ///
    /// # Errors
    /// There is no such column, or it is not a `bigint`.
    pub fn int(&self, index: usize) -> Result<i64, Unexpected> {
        let Some(bytes) = self.column(index)? else {
            return Ok(0);
        };
        let bytes = bytes.try_into().map_err(|_| Unexpected)?;
        Ok(i64::from_be_bytes(bytes))
    }

    /// The `boolean` in a column.
    ///
    /// # Errors
    /// There is no such column, or it is null or not a `boolean`.
    pub fn bool(&self, index: usize) -> Result<bool, Unexpected> {
        match self.column(index)? {
            Some([value]) => Ok(*value != 0),
            _ => Err(Unexpected),
        }
    }

    /// The `uuid` in a column.
    ///
    /// # Errors
    /// There is no such column, or it is null or not a `uuid`.
    pub fn uuid(&self, index: usize) -> Result<Uuid, Unexpected> {
        let bytes = self.column(index)?.ok_or(Unexpected)?;
        Uuid::from_slice(bytes).map_err(|_| Unexpected)
    }
}

/// The rows of each statement.
pub type Rows = Vec<Vec<Row>>;
