//! The doctor.

use crate::answer::Document;
use crate::call::Call;
use crate::doctor::{Patient, examine};
use crate::error::ApiError;
use crate::wire::{DoctorQuery, DoctorReport};

pub(super) async fn get(call: Call<DoctorQuery>) -> Result<Document<DoctorReport>, ApiError> {
    let patient = Patient { store: call.platform_store()?, control: &*call.app.control };
    examine(&patient, &call.query).await.map(Document)
}
