package durableobject_test

import (
	"context"
	"fmt"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
)

// MemberChange is an event of the stream. Of kind "reset", clients empty their list: the
// stream has been opened, perhaps not for the first time, and all members follow.
type MemberChange struct {
	Kind string `json:"kind"`
	ID   string `json:"id,omitzero"`
}

// Team is an object whose clients show who is here.
type Team struct{ *durableobject.Object[string] }

func (t *Team) Members(ctx context.Context, _ *durableobject.Websocket, _ rpc.Void, w *rpc.EventWriter[MemberChange]) (rpc.Void, error) {
	if err := w.Send(MemberChange{Kind: "reset"}); err != nil {
		return rpc.Void{}, err
	}
	for change, err := range t.PresenceChanges(ctx) {
		if err != nil {
			return rpc.Void{}, err
		}
		if err := w.Send(MemberChange{string(change.Kind), change.Member.ID}); err != nil {
			return rpc.Void{}, err
		}
	}
	return rpc.Void{}, nil
}

// A client that calls such a method with rpc.WithRetry keeps its list right when the stream
// is opened again: ann has left meanwhile.
func ExampleObject_PresenceChanges() {
	list := map[string]bool{}
	for _, change := range []MemberChange{
		{"reset", ""}, {"joined", "ann"}, {"joined", "bob"}, // the connection is lost
		{"reset", ""}, {"joined", "bob"},
	} {
		switch change.Kind {
		case "reset":
			clear(list)
		case "left":
			delete(list, change.ID)
		default:
			list[change.ID] = true
		}
	}
	fmt.Println(list)
	// Output: map[bob:true]
}
