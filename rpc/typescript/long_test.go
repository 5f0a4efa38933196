package typescript_test

import (
	"encoding/json"
	"reflect"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/typescript"
)

// The types of a module whose lines are broken.
type (
	AnEventWithAnUnusuallyLongName struct {
		ByName                       map[AKeyWithAnUnusuallyLongName]*AnEventWithAnUnusuallyLongName
		ByNumber                     map[float64]*AnEventWithAnUnusuallyLongName `json:"by number"`
		Pairs                        [2]*AnEventWithAnUnusuallyLongName
		AKey                         AKeyWithAnUnusuallyLongName `json:"a key that needs quotes as it has spaces in its name"`
		Lists                        [][]*AnEventWithAnUnusuallyLongName
		Anonymous                    map[int]struct{ A, B int }
		Several                      []struct{ A int }
		Maybe                        []*struct{ A int }
		Both                         [2]struct{ A int }
		Within                       map[int]*struct{ A []*struct{ B int } }
		AFileWithAnUnusuallyLongName map[string]struct{}
	}
	AKeyWithAnUnusuallyLongName          string
	ATextOfWhichThereAreManyDifferent    string
	AListOfEventsWithAnUnusuallyLongName []*AnEventWithAnUnusuallyLongName
	ASetOfEventsWithAnUnusuallyLongName  map[AnArrayOfThree]AnArrayOfThree
	AnArrayOfKeys                        []AKeyWithAnUnusuallyLongName
	AnArrayOfThree                       [3]AKeyWithAnUnusuallyLongName
	AResult                              struct{ Text string }
)

func longOptions() *typescript.Options {
	missing := rpc.DefineError[AnEventWithAnUnusuallyLongName]("A_CODE_WITH_AN_UNUSUALLY_LONG_NAME", 404, "")
	gone := rpc.DefineError[ATextOfWhichThereAreManyDifferent]("ANOTHER_CODE_WITH_AN_UNUSUALLY_LONG_NAME", 410, "")
	return &typescript.Options{
		Contracts: []rpc.Contract{
			rpc.Define[AListOfEventsWithAnUnusuallyLongName, ASetOfEventsWithAnUnusuallyLongName]("group.of-methods.ofSomeLength", missing, gone),
			rpc.Define[*rpc.Events[*ATextOfWhichThereAreManyDifferent, AResult], AListOfEventsWithAnUnusuallyLongName]("another"),
		},
		Iterators: []typescript.Iterator{{
			Contract: durableiterator.Define[rpc.Void, *AnEventWithAnUnusuallyLongName]("aSubscriptionWithAnUnusuallyLongName"),
			Methods:  []rpc.Contract{rpc.Define[string, string]("say", gone)},
		}},
		Own:   []typescript.Own{typescript.OwnType[json.Number]("`${number}`", "")},
		Types: []reflect.Type{reflect.TypeFor[AnArrayOfKeys](), reflect.TypeFor[json.Number]()},
		Enums: []typescript.Enum{
			typescript.EnumOf[AKeyWithAnUnusuallyLongName]("one of the keys", "another one of the keys", "the last one of the keys"),
		},
	}
}
