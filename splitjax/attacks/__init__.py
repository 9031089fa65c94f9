"""Attack kernels: arrays in, arrays out; jitted, and safe under vmap."""

from splitjax.attacks.averaging import average_by_sample as average_by_sample
from splitjax.attacks.denoising import denoise as denoise
from splitjax.attacks.direct import direct_labels as direct_labels
from splitjax.attacks.distance import nearest_labels as nearest_labels
from splitjax.attacks.distance import nearest_scores as nearest_scores
from splitjax.attacks.evidence import Evidence as Evidence
from splitjax.attacks.evidence import gradient_evidence as gradient_evidence
from splitjax.attacks.evidence import similarity_evidence as similarity_evidence
from splitjax.attacks.exploit import exploit_labels as exploit_labels
from splitjax.attacks.gramssat import gramssat_labels as gramssat_labels
from splitjax.attacks.kmeans.clustering_attack import (
  cluster_labels as cluster_labels,
)
from splitjax.attacks.kmeans.clustering_attack import (
  cluster_scores as cluster_scores,
)
from splitjax.attacks.kmeans.lloyd import KMeansResult as KMeansResult
from splitjax.attacks.kmeans.lloyd import kmeans as kmeans
from splitjax.attacks.kmeans.online import OnlineClusters as OnlineClusters
from splitjax.attacks.kmeans.online import cluster_batch as cluster_batch
from splitjax.attacks.kmeans.online import online_labels as online_labels
from splitjax.attacks.kmeans.online import start_online as start_online
from splitjax.attacks.kmeans.plus_plus import (
  kmeans_plus_plus as kmeans_plus_plus,
)
from splitjax.attacks.kmeans.streaming import stream_kmeans as stream_kmeans
from splitjax.attacks.kmeans.streaming import (
  stream_nearest_labels as stream_nearest_labels,
)
from splitjax.attacks.learning_based import (
  learning_based_labels as learning_based_labels,
)
from splitjax.attacks.learning_based import (
  learning_based_targets as learning_based_targets,
)
from splitjax.attacks.malicious import (
  malicious_optimizer as malicious_optimizer,
)
from splitjax.attacks.merged import read_merged as read_merged
from splitjax.attacks.model_completion import (
  completion_labels as completion_labels,
)
from splitjax.attacks.model_completion import (
  tuned_completion_labels as tuned_completion_labels,
)
from splitjax.attacks.reading import read_evidence as read_evidence
from splitjax.attacks.result import AttackResult as AttackResult
from splitjax.attacks.result import Groups as Groups
from splitjax.attacks.ridge import gradient_targets as gradient_targets
from splitjax.attacks.ridge import ridge_targets as ridge_targets
from splitjax.attacks.scoring import direction_scores as direction_scores
from splitjax.attacks.scoring import (
  inner_product_scores as inner_product_scores,
)
from splitjax.attacks.scoring import norm_scores as norm_scores
from splitjax.attacks.similarity import unit_normalize as unit_normalize
from splitjax.attacks.spectral import spectral_labels as spectral_labels
from splitjax.attacks.spectral import spectral_scores as spectral_scores
from splitjax.attacks.spectral import top_directions as top_directions
from splitjax.attacks.strongest import gradient_labels as gradient_labels
from splitjax.attacks.strongest import similarity_labels as similarity_labels
from splitjax.attacks.transfer import transfer_labels as transfer_labels
from splitjax.attacks.transfer import (
  tuned_transfer_labels as tuned_transfer_labels,
)
from splitjax.attacks.unsplit import unsplit_labels as unsplit_labels

# Deprecated names of earlier versions, which go in 0.3.
ClusterResult = AttackResult
TransferResult = AttackResult
complete_model = completion_labels
fine_tuned_completion = tuned_completion_labels
fine_tuned_labels = tuned_transfer_labels
name_online = online_labels

__all__ = [
  'AttackResult',
  'ClusterResult',
  'Groups',
  'KMeansResult',
  'OnlineClusters',
  'TransferResult',
  'average_by_sample',
  'cluster_batch',
  'cluster_labels',
  'cluster_scores',
  'complete_model',
  'completion_labels',
  'denoise',
  'direct_labels',
  'direction_scores',
  'exploit_labels',
  'fine_tuned_completion',
  'fine_tuned_labels',
  'gradient_evidence',
  'gradient_labels',
  'gramssat_labels',
  'inner_product_scores',
  'kmeans',
  'kmeans_plus_plus',
  'learning_based_labels',
  'learning_based_targets',
  'malicious_optimizer',
  'name_online',
  'nearest_labels',
  'nearest_scores',
  'norm_scores',
  'online_labels',
  'ridge_targets',
  'read_evidence',
  'read_merged',
  'similarity_evidence',
  'similarity_labels',
  'spectral_labels',
  'spectral_scores',
  'start_online',
  'stream_kmeans',
  'stream_nearest_labels',
  'top_directions',
  'transfer_labels',
  'tuned_completion_labels',
  'tuned_transfer_labels',
  'unit_normalize',
  'unsplit_labels',
]
