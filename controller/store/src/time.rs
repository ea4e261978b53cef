//! Reading `timestamptz` as [`jiff::Timestamp`], which sqlx does not know.

use jiff::Timestamp;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Postgres, Type};

/// `timestamptz` in pg_type.dat.
const TIMESTAMPTZ: Oid = Oid(1184);
/// Postgres counts microseconds from 2000-01-01T00:00:00Z.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A point in time as the database tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl<'r> Decode<'r, Postgres> for Time {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => {
                let micros: i64 = Decode::<Postgres>::decode(value)?;
                let since_1970 = micros.checked_add(POSTGRES_EPOCH_MICROS).ok_or("time out of range")?;
                Ok(Self(Timestamp::from_microsecond(since_1970)?))
            }
            // Only unprepared statements answer in text, and this crate has none that reads a time.
            PgValueFormat::Text => Err("a time in text form".into()),
        }
    }
}
