//! Plans, stacks, buildpacks and templates, for the platform.

use skep_schemas::kind::{BuildpackSpec, PlanSpec, StackSpec, TemplateSpec};

use crate::panel::catalog;
use crate::panel::row::rows;

rows! {
    Post "/api/admin/paas/plans" "postAdminPaasPlans":
        Write of Platform, "Create a plan."
        => "Plan", "PUT /v1/plans/{name}"
        => catalog::post::<PlanSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Put "/api/admin/paas/plans/{uid}" "putAdminPaasPlansByUid":
        Write of Platform, "Change a plan."
        => "Plan", "PUT /v1/plans/{name}"
        => catalog::put::<PlanSpec>, "resources_are_changed_by_uid_with_their_manifests";
    Patch "/api/admin/paas/plans/{uid}" "patchAdminPaasPlansByUid":
        Write of Platform, "Change a plan in part."
        => "Plan", "PUT /v1/plans/{name}"
        => catalog::patch::<PlanSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Delete "/api/admin/paas/plans/{uid}" "deleteAdminPaasPlansByUid":
        Delete of Platform, "Delete a plan."
        => "Plan", "DELETE /v1/plans/{name}"
        => catalog::delete::<PlanSpec>, "the_platform_sees_the_apps_of_all_organisations_and_deletes_plans";
    Get "/api/admin/paas/stacks" "getAdminPaasStacks":
        Read of Platform, "The stacks."
        => "Stack", "GET /v1/stacks"
        => catalog::list::<StackSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Post "/api/admin/paas/stacks" "postAdminPaasStacks":
        Write of Platform, "Create a stack."
        => "Stack", "PUT /v1/stacks/{name}"
        => catalog::post::<StackSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Get "/api/admin/paas/stacks/{uid}" "getAdminPaasStacksByUid":
        Read of Platform, "One stack."
        => "Stack", "GET /v1/stacks/{name}"
        => catalog::get::<StackSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Patch "/api/admin/paas/stacks/{uid}" "patchAdminPaasStacksByUid":
        Write of Platform, "Change a stack."
        => "Stack", "PUT /v1/stacks/{name}"
        => catalog::patch::<StackSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Delete "/api/admin/paas/stacks/{uid}" "deleteAdminPaasStacksByUid":
        Delete of Platform, "Delete a stack."
        => "Stack", "DELETE /v1/stacks/{name}"
        => catalog::delete::<StackSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Post "/api/admin/paas/stacks/{uid}/buildpacks/reorder" "postAdminPaasStacksByUidBuildpacksReorder":
        Write of Platform, "Change the order of a stack's buildpacks."
        => "Stack", "PUT /v1/stacks/{name}"
        => catalog::reorder, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Get "/api/admin/paas/buildpacks" "getAdminPaasBuildpacks":
        Read of Platform, "The buildpacks."
        => "Buildpack", "GET /v1/buildpacks"
        => catalog::list::<BuildpackSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Post "/api/admin/paas/buildpacks" "postAdminPaasBuildpacks":
        Write of Platform, "Create a buildpack."
        => "Buildpack", "PUT /v1/buildpacks/{name}"
        => catalog::post::<BuildpackSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Get "/api/admin/paas/buildpacks/{uid}" "getAdminPaasBuildpacksByUid":
        Read of Platform, "One buildpack."
        => "Buildpack", "GET /v1/buildpacks/{name}"
        => catalog::get::<BuildpackSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Patch "/api/admin/paas/buildpacks/{uid}" "patchAdminPaasBuildpacksByUid":
        Write of Platform, "Change a buildpack."
        => "Buildpack", "PUT /v1/buildpacks/{name}"
        => catalog::patch::<BuildpackSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Delete "/api/admin/paas/buildpacks/{uid}" "deleteAdminPaasBuildpacksByUid":
        Delete of Platform, "Delete a buildpack."
        => "Buildpack", "DELETE /v1/buildpacks/{name}"
        => catalog::delete::<BuildpackSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Get "/api/admin/paas/templates" "getAdminPaasTemplates":
        Read of Platform, "The templates."
        => "Template", "GET /v1/templates"
        => catalog::list::<TemplateSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Post "/api/admin/paas/templates" "postAdminPaasTemplates":
        Write of Platform, "Create a template."
        => "Template", "PUT /v1/templates/{name}"
        => catalog::post::<TemplateSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Get "/api/admin/paas/templates/{uid}" "getAdminPaasTemplatesByUid":
        Read of Platform, "One template."
        => "Template", "GET /v1/templates/{name}"
        => catalog::get::<TemplateSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Patch "/api/admin/paas/templates/{uid}" "patchAdminPaasTemplatesByUid":
        Write of Platform, "Change a template."
        => "Template", "PUT /v1/templates/{name}"
        => catalog::patch::<TemplateSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
    Delete "/api/admin/paas/templates/{uid}" "deleteAdminPaasTemplatesByUid":
        Delete of Platform, "Delete a template."
        => "Template", "DELETE /v1/templates/{name}"
        => catalog::delete::<TemplateSpec>, "the_catalogue_is_made_changed_and_deleted_by_the_platform";
}
