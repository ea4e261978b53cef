//! How what the controller could not do is told.

use super::ApiError;
use crate::port::PortError;

impl From<PortError> for ApiError {
    fn from(error: PortError) -> Self {
        match error {
            PortError::EngineUnavailable { source } => Self::EngineUnavailable { cause: source },
            PortError::TooManyReaders => Self::TooManyStreams,
            PortError::NotFound { key } => Self::NotFound { key },
            PortError::Invalid { diagnostics } => Self::Manifests { diagnostics },
            PortError::Store { source } => source.into(),
            PortError::Internal { source } => Self::Internal { cause: source },
        }
    }
}
