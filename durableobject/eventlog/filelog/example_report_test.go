package filelog_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

func ExampleDamage_String() {
	fmt.Println(filelog.Damage{
		File: "00000000000000000001.seg", Offset: 64, Length: 120, First: 3, Last: 4, Reason: "bad checksum",
	})
	// Output: 00000000000000000001.seg: bad checksum (120 bytes at 64), records 3 to 4 are lost
}

func ExampleReport_Err() {
	damaged := filelog.Report{Damage: []filelog.Damage{{File: "CHECKPOINT", Reason: "bad checksum"}}}
	fmt.Println(filelog.Report{}.Err(), errors.Is(damaged.Err(), filelog.ErrDamaged))
	// Output: <nil> true
}

// Kept values and keys survive a restart, like events.
func ExampleLog_Bus() {
	dir, remove := tempDir()
	defer remove()
	ctx := context.Background()
	for range 2 {
		log, err := filelog.Open(dir, &filelog.Options{Retention: time.Hour, KeyWindow: 10 * time.Minute})
		if err != nil {
			panic(err)
		}
		kept, err := log.Bus().Kept(ctx, "")
		fmt.Println(len(kept), err, log.KeyWindow())
		if err := log.Bus().Keep(ctx, "leader", []byte("a"), time.Hour); err != nil {
			panic(err)
		}
		if err := log.Close(); err != nil {
			panic(err)
		}
	}
	// Output:
	// 0 <nil> 10m0s
	// 1 <nil> 10m0s
}

// Records are removed when they are older than the retention. Without one, only Trim removes them.
func ExampleLog_Retention() {
	dir, remove := tempDir()
	defer remove()
	for _, retention := range []time.Duration{0, time.Hour} {
		log, err := filelog.Open(dir, &filelog.Options{Retention: retention})
		if err != nil {
			panic(err)
		}
		fmt.Println(log.Retention(), log.Close())
	}
	// Output:
	// 0s <nil>
	// 1h0m0s <nil>
}
