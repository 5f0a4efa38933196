package typescript_test

import (
	"reflect"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/typescript"
)

// originalOptions are for a page that uses oRPC's own package. Its exports are declared in
// testdata/original.
func originalOptions() *typescript.Options {
	return &typescript.Options{
		Contracts: []rpc.Contract{Echo},
		Iterators: []typescript.Iterator{
			{Contract: Watch, Methods: []rpc.Contract{Say, Numbers}},
			{Name: "lobby", Event: reflect.TypeFor[Address]()},
			{
				Contract: durableiterator.Define[rpc.Void, AnEventWithAnUnusuallyLongName]("aSubscriptionWithAnUnusuallyLongName"),
				Methods:  []rpc.Contract{Say},
			},
		},
		Own:          options().Own,
		Serializers:  options().Serializers,
		ClientModule: typescript.OriginalClientModule,
	}
}
