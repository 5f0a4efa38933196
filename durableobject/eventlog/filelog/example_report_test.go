package filelog_test

import (
	"errors"
	"fmt"

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
