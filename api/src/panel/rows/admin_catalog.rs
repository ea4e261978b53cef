//! Plans, stacks, buildpacks and templates, for the platform.

use crate::panel::resource;
use crate::panel::row::rows;

rows! {
    Post "/api/admin/paas/plans" "postAdminPaasPlans":
        Write of Platform, "Create a plan."
        => "Plan", "PUT /v1/plans/{name}";
    Put "/api/admin/paas/plans/{uid}" "putAdminPaasPlansByUid":
        Write of Platform, "Change a plan."
        => "Plan", "PUT /v1/plans/{name}"
        => resource::put_plan, "resources_are_changed_by_uid_with_their_manifests";
    Patch "/api/admin/paas/plans/{uid}" "patchAdminPaasPlansByUid":
        Write of Platform, "Change a plan in part."
        => "Plan", "PUT /v1/plans/{name}";
    Delete "/api/admin/paas/plans/{uid}" "deleteAdminPaasPlansByUid":
        Delete of Platform, "Delete a plan."
        => "Plan", "DELETE /v1/plans/{name}"
        => resource::delete_plan, "the_platform_sees_the_apps_of_all_organisations_and_deletes_plans";
    Get "/api/admin/paas/stacks" "getAdminPaasStacks":
        Read of Platform, "The stacks."
        => "Stack";
    Post "/api/admin/paas/stacks" "postAdminPaasStacks":
        Write of Platform, "Create a stack."
        => "Stack";
    Get "/api/admin/paas/stacks/{uid}" "getAdminPaasStacksByUid":
        Read of Platform, "One stack."
        => "Stack";
    Patch "/api/admin/paas/stacks/{uid}" "patchAdminPaasStacksByUid":
        Write of Platform, "Change a stack."
        => "Stack";
    Delete "/api/admin/paas/stacks/{uid}" "deleteAdminPaasStacksByUid":
        Delete of Platform, "Delete a stack."
        => "Stack";
    Post "/api/admin/paas/stacks/{uid}/buildpacks/reorder" "postAdminPaasStacksByUidBuildpacksReorder":
        Write of Platform, "Change the order of a stack's buildpacks."
        => "Stack";
    Get "/api/admin/paas/buildpacks" "getAdminPaasBuildpacks":
        Read of Platform, "The buildpacks."
        => "Buildpack";
    Post "/api/admin/paas/buildpacks" "postAdminPaasBuildpacks":
        Write of Platform, "Create a buildpack."
        => "Buildpack";
    Get "/api/admin/paas/buildpacks/{uid}" "getAdminPaasBuildpacksByUid":
        Read of Platform, "One buildpack."
        => "Buildpack";
    Patch "/api/admin/paas/buildpacks/{uid}" "patchAdminPaasBuildpacksByUid":
        Write of Platform, "Change a buildpack."
        => "Buildpack";
    Delete "/api/admin/paas/buildpacks/{uid}" "deleteAdminPaasBuildpacksByUid":
        Delete of Platform, "Delete a buildpack."
        => "Buildpack";
    Get "/api/admin/paas/templates" "getAdminPaasTemplates":
        Read of Platform, "The templates."
        => "Template";
    Post "/api/admin/paas/templates" "postAdminPaasTemplates":
        Write of Platform, "Create a template."
        => "Template";
    Get "/api/admin/paas/templates/{uid}" "getAdminPaasTemplatesByUid":
        Read of Platform, "One template."
        => "Template";
    Patch "/api/admin/paas/templates/{uid}" "patchAdminPaasTemplatesByUid":
        Write of Platform, "Change a template."
        => "Template";
    Delete "/api/admin/paas/templates/{uid}" "deleteAdminPaasTemplatesByUid":
        Delete of Platform, "Delete a template."
        => "Template";
}
