"""Which process of a cell this is; torch-free, so that it can be asked before anything is loaded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rank:
    """Which process of how many this is, and where they meet."""

    rank: int = 0
    world_size: int = 1
    port: int = 0
    address: str = "127.0.0.1"
    nodes: int = 1

    @property
    def per_node(self) -> int:
        """Ranks on each node."""
        return self.world_size // self.nodes

    @property
    def local_rank(self) -> int:
        """Number among the ranks of this node."""
        return self.rank % self.per_node
