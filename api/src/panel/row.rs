//! A row of the panel's table: what a route is, whether it is served, and by what.

use crate::access::{Access, Permission};
use crate::error::ApiError;
use crate::route::{Route, Verb, Within};

/// One route.
pub(super) struct Row {
    pub(super) verb: Verb,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) permission: Permission,
    pub(super) within: Within,
    pub(super) about: &'static str,
    /// The kind of what it is about, which may not be there yet.
    pub(super) by: &'static str,
    /// The route of Skep's own to use today.
    pub(super) today: Option<&'static str>,
    pub(super) served: Option<Served>,
}

/// How a route is served.
pub(super) struct Served {
    /// Makes the route of it.
    pub(super) bind: fn(&Row) -> Route,
    /// The test that walks it.
    #[cfg(test)]
    pub(super) test: &'static str,
}

impl Row {
    /// As the router takes it.
    pub(super) fn route(&self) -> Route {
        let route = match &self.served {
            Some(served) => (served.bind)(self),
            None => self.refusing(),
        };
        route.within(self.within)
    }

    pub(super) const fn access(&self) -> Access {
        Access::Needs(self.permission)
    }

    fn refusing(&self) -> Route {
        let Self { verb, path, id, about, by, today, .. } = *self;
        let refusal = move || {
            let what = format!("{} {path}", verb.as_str().to_uppercase());
            ApiError::NotServed { what, by, today }
        };
        Route::unserved(verb, path, self.access(), id, about, refusal)
    }
}

/// The rows of a subject: method, path, operation; the permission and the kind that it is asked for; what it does; the kind of what will
/// serve it, and the native route to use today. A row that is served goes on with its handler and the test that walks it.
///
/// The kind that the permission is asked for is one that is there: of what is not there yet, the one that it will be part of.
macro_rules! rows {
    ($(
        $verb:ident $path:literal $id:literal:
            $permission:ident of $within:ident, $about:literal => $by:literal $(, $today:literal)?
            $(=> $handler:path, $test:literal)?;
    )*) => {
        pub(super) const ROWS: &[$crate::panel::row::Row] = &[$($crate::panel::row::Row {
            verb: $crate::route::Verb::$verb,
            path: $path,
            id: $id,
            permission: $crate::access::Permission::$permission,
            within: $crate::panel::row::within!($within),
            about: $about,
            by: $by,
            today: $crate::panel::row::optional!($($today)?),
            served: $crate::panel::row::optional!($($crate::panel::row::Served {
                bind: |row| $crate::route::Route::new(row.verb, row.path, row.access(), row.id, row.about, $handler),
                #[cfg(test)]
                test: $test,
            })?),
        },)*];
    };
}

macro_rules! within {
    (Platform) => {
        $crate::route::Within::Platform
    };
    ($kind:ident) => {
        $crate::route::Within::Organization(skep_schemas::Kind::$kind)
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

pub(super) use {optional, rows, within};
