//! Volumes and their snapshots.

use crate::panel::row::rows;

rows! {
    Post "/api/caas/volumes" "postCaasVolumes":
        Write of Environment, "Create a volume."
        => "Volume";
    Get "/api/caas/volumes" "getCaasVolumes":
        Read of Environment, "The volumes of the organisation."
        => "Volume";
    Get "/api/caas/volumes/{uid}" "getCaasVolumesByUid":
        Read of Environment, "One volume."
        => "Volume";
    Delete "/api/caas/volumes/{uid}" "deleteCaasVolumesByUid":
        Delete of Environment, "Delete a volume."
        => "Volume";
    Post "/api/caas/volumes/{uid}/snapshots" "postCaasVolumesByUidSnapshots":
        Write of Environment, "Take a snapshot of a volume."
        => "VolumeSnapshot";
    Get "/api/caas/volumes/{uid}/snapshots" "getCaasVolumesByUidSnapshots":
        Read of Environment, "The snapshots of a volume."
        => "VolumeSnapshot";
}
