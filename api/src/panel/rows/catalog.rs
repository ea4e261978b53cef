//! What apps can be made of and where they can run.

use crate::panel::row::rows;
use crate::panel::{region, resource};

rows! {
    Get "/api/paas/plans" "getPaasPlans":
        Read of Plan, "The plans that there are."
        => "Plan", "GET /v1/plans"
        => resource::list, "resources_are_listed_and_read_by_uid";
    Get "/api/paas/plans/{uid}" "getPaasPlansByUid":
        Read of Plan, "One plan."
        => "Plan", "GET /v1/plans/{name}"
        => resource::get, "resources_are_listed_and_read_by_uid";
    Get "/api/paas/locations" "getPaasLocations":
        Read of Organization, "The regions that there are."
        => "Node", "GET /v1/orgs/{org}/regions"
        => region::locations, "a_tenant_sees_names_of_its_regions_and_an_administrator_the_nodes";
    Get "/api/paas/stacks" "getPaasStacks":
        Read of Stack, "The stacks that apps are built with."
        => "Stack", "GET /v1/stacks"
        => resource::list, "resources_are_listed_and_read_by_uid";
    Get "/api/paas/buildpacks" "getPaasBuildpacks":
        Read of Buildpack, "The buildpacks that there are."
        => "Buildpack", "GET /v1/buildpacks"
        => resource::list, "resources_are_listed_and_read_by_uid";
    Get "/api/paas/templates" "getPaasTemplates":
        Read of Template, "The templates that an app can begin with."
        => "Template", "GET /v1/templates"
        => resource::list, "resources_are_listed_and_read_by_uid";
}
