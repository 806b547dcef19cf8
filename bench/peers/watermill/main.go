// A router of Watermill that reads a queue of RabbitMQ. It handles as many messages as each line of its input says, and
// answers with a line. Arguments: the URL of RabbitMQ, and the name of the queue.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-amqp/v3/pkg/amqp"
	"github.com/ThreeDotsLabs/watermill/message"
)

type packet struct {
	Data struct {
		Sku   string `json:"sku"`
		Count int32  `json:"count"`
	} `json:"data"`
}

func main() {
	url, queue := os.Args[1], os.Args[2]
	config := amqp.NewDurableQueueConfig(url)
	config.Queue.GenerateName = amqp.GenerateQueueNameConstant(queue)
	config.Queue.Arguments = map[string]any{"x-queue-type": "quorum"}
	config.Consume.Qos.PrefetchCount = 64
	lines := bufio.NewScanner(os.Stdin)
	fmt.Println("ready")
	for lines.Scan() {
		count, err := strconv.Atoi(lines.Text())
		check(err)
		check(read(config, queue, count))
		fmt.Println(count)
	}
}

func read(config amqp.Config, queue string, count int) error {
	logger := watermill.NopLogger{}
	subscriber, err := amqp.NewSubscriber(config, logger)
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{}, logger)
	if err != nil {
		return err
	}
	left := count
	done := make(chan struct{})
	router.AddNoPublisherHandler("stock", queue, subscriber, func(received *message.Message) error {
		var counted packet
		if err := json.Unmarshal(received.Payload, &counted); err != nil {
			return err
		}
		if counted.Data.Count != 7 {
			return fmt.Errorf("a message has the count %d", counted.Data.Count)
		}
		if left--; left == 0 {
			close(done)
		}
		return nil
	})
	go func() {
		<-done
		check(router.Close())
	}()
	return router.Run(context.Background())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
