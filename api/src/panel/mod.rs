//! The panel's API: the routes that SkyPanel's documents ask for, under `/api/paas`, `/api/caas` and `/api/admin/paas`.
//!
//! They are rows of the same table as all others ([`crate::routes`]), so nothing about tokens, permissions, rates, problem documents or
//! OpenAPI is different. A row whose subject is there is a thin translation into what the native route of it does. All others ask
//! for token and permission, and then say what will serve them ([`ApiError::NotServed`]): whoever may not ask learns nothing, whoever may
//! learns what to do instead.
//!
//! The paths name no organisation. It is the one that the request names (`?org=acme`), or else the only one that whoever asks
//! belongs to ([`organization`]). What a path names is the uid of a resource, and is looked for in that organisation alone ([`found`]).
//!
//! Guarantees: every route of `seeds.tsv`, the list of what the documents ask for, has a row, and every row is in that list;
//! `docs/panel-api.md` is made from the rows.

mod catalog;
mod config;
mod create;
mod domain;
mod formation;
mod found;
mod metrics;
mod platform;
mod region;
mod release;
mod resource;
mod row;
mod rows;
mod run;

use http::Uri;
use serde::Deserialize;
use skep_schemas::{OrgName, Scope};

use crate::access::Principal;
use crate::call;
use crate::error::ApiError;
use crate::route::Route;

use row::Row;

/// Every route of the panel.
pub(crate) fn table() -> Vec<Route> {
    rows::all().map(Row::route).collect()
}

/// The part of every query that says which organisation is meant. What else stands there is each route's to read.
#[derive(Debug, Deserialize)]
struct Named {
    org: Option<OrgName>,
}

/// The organisation that a request is about: the one that it names, or the only one that whoever asks belongs to. There is none for
/// whoever belongs to none; what a request of the platform is about, it has to name.
pub(crate) fn organization(principal: &Principal, uri: &Uri) -> Result<Option<OrgName>, ApiError> {
    let Named { org } = call::query(uri)?;
    if org.is_some() {
        return Ok(org);
    }
    let mut own = principal.grants.iter().filter_map(|grant| match &grant.reach {
        Scope::Org(org) => Some(org),
        Scope::Platform => None,
    });
    match (own.next(), own.next()) {
        (Some(_), Some(_)) => Err(ApiError::invalid(
            "you belong to several organisations",
            "name one of them, as in `?org=acme`",
        )),
        (only, _) => Ok(only.cloned()),
    }
}

#[cfg(test)]
mod tests;
