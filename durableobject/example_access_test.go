package durableobject_test

import (
	"context"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/token"
)

// Send a user away: the token must not open another socket, and clients of this library
// must not try again.
func ExampleNamespace_Revoke() {
	type Message struct{ Text string }
	rooms := durableobject.NewNamespace(
		func(_ context.Context, o *durableobject.Object[Message]) (*durableobject.Object[Message], error) {
			return o, nil
		},
		&durableobject.Options{
			Verifier: token.Secret("secret-key"),
			Subject: func(p *token.Payload) string {
				user, _ := token.Att[struct{ User string }](p)
				return user.User
			},
		})
	ctx := context.Background()
	mallory := durableobject.Who{Subject: "mallory", IssuedBefore: time.Now()}
	closed, err := rooms.Disconnect(ctx, mallory, 4403, "You were banned") // before Revoke, which closes with 1008
	fmt.Println(closed, err)
	fmt.Println(rooms.Revoke(ctx, mallory, time.Now().Add(24*time.Hour))) // as long as tokens are valid
	fmt.Println(rooms.Shutdown(ctx))
	// Output:
	// 0 <nil>
	// <nil>
	// <nil>
}
