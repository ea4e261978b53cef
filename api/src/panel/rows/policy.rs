//! Rules for images and networks, and credentials of registries.

use crate::panel::resource;
use crate::panel::row::rows;

rows! {
    Get "/api/caas/policies/images" "getCaasPoliciesImages":
        Read of ImagePolicy, "Which images may run."
        => "ImagePolicy", "GET /v1/orgs/{org}/imagepolicies"
        => resource::list, "resources_are_listed_and_read_by_uid";
    Put "/api/caas/policies/images" "putCaasPoliciesImages":
        Write of ImagePolicy, "Say which images may run."
        => "ImagePolicy", "PUT /v1/orgs/{org}/imagepolicies/{name}";
    Get "/api/caas/policies/network" "getCaasPoliciesNetwork":
        Read of NetworkPolicy, "What may be connected."
        => "NetworkPolicy", "GET /v1/orgs/{org}/networkpolicies"
        => resource::list, "resources_are_listed_and_read_by_uid";
    Put "/api/caas/policies/network" "putCaasPoliciesNetwork":
        Write of NetworkPolicy, "Say what may be connected."
        => "NetworkPolicy", "PUT /v1/orgs/{org}/networkpolicies/{name}";
    Get "/api/caas/registries" "getCaasRegistries":
        Read of RegistryCredential, "The credentials of registries."
        => "RegistryCredential", "GET /v1/orgs/{org}/registrycredentials"
        => resource::list, "resources_are_listed_and_read_by_uid";
    Post "/api/caas/registries" "postCaasRegistries":
        Write of RegistryCredential, "Create a credential of a registry."
        => "RegistryCredential", "PUT /v1/orgs/{org}/registrycredentials/{name}";
    Delete "/api/caas/registries" "deleteCaasRegistries":
        Delete of RegistryCredential, "Delete the credential of a registry."
        => "RegistryCredential", "DELETE /v1/orgs/{org}/registrycredentials/{name}";
}
