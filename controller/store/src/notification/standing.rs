//! How a Notification stands: what its status tells.

use skep_schemas::Uid;

use crate::error::{Fault, Operation, StoreError};
use crate::snapshot::Snapshot;
use skep_planner::reconcile::notification::NotificationStanding;

impl Snapshot {
    /// How a Notification stands.
    pub async fn notification_standing(&mut self, uid: Uid) -> Result<NotificationStanding, StoreError> {
        let row = sqlx::query!(
            r#"SELECT failures, last_error, dropped,
                      (SELECT count(*) FROM notification_delivery WHERE notification = uid AND state = 'dead') AS "dead!",
                      (SELECT last_error FROM notification_delivery WHERE notification = uid AND state = 'dead' ORDER BY id DESC LIMIT 1) AS died_of
               FROM notification_target WHERE uid = $1"#,
            uid.uuid()
        );
        let row = row.fetch_optional(self.connection()).await;
        let row = row.map_err(|source| Fault::from(source).during(Operation::Read))?;
        Ok(row.map_or_else(NotificationStanding::default, |row| NotificationStanding {
            failures: u32::try_from(row.failures).unwrap_or_default(),
            last_error: row.last_error.or(row.died_of),
            dead: u64::try_from(row.dead).unwrap_or_default(),
            dropped: u64::try_from(row.dropped).unwrap_or_default(),
        }))
    }
}
