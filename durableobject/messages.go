package durableobject

// The messages that nodes send each other about presence. Each node numbers its changes.
//
//	beat            from every node in intervals, and when it begins to listen: the number of its last
//	                change, and the nodes that it knows
//	claims changed  some claims of the sender, with the number of the change
//	claims wanted   asks a node for all its claims; with Of, asks every other node for those of node Of
//	claims          a part of all claims of the sender, or of the node Of
//	buried          tells a node that the others have dropped its claims while it could not be heard
const (
	kindBeat    = "beat"
	kindChanged = "claims changed"
	kindWanted  = "claims wanted"
	kindClaims  = "claims"
	kindBuried  = "buried"
)
