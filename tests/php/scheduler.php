<?php
/**
 * As much of Action Scheduler as the bridge for WP-Cron calls, over the queue's own tables.
 *
 * @package wpbridge
 */

abstract class ActionScheduler_Store {
	const STATUS_PENDING = 'pending';
	const STATUS_RUNNING = 'in-progress';
}

final class T_Store {
	public function cancel_action( $id ) {
		global $wpdb;
		$wpdb->update( "{$wpdb->prefix}actionscheduler_actions", array( 'status' => 'canceled' ), array( 'action_id' => $id ) );
	}
	public function get_status( $id ) {
		global $wpdb;
		return $wpdb->get_var( $wpdb->prepare( "SELECT status FROM {$wpdb->prefix}actionscheduler_actions WHERE action_id = %d", $id ) );
	}
}

final class T_Schedule {
	private $date;
	private $interval;

	public function __construct( $date, $interval ) {
		$this->date     = $date;
		$this->interval = $interval;
	}
	public function get_date() {
		return new DateTime( "@{$this->date}" );
	}
	public function is_recurring() {
		return (bool) $this->interval;
	}
	public function get_recurrence() {
		return $this->interval;
	}
}

final class T_Action {
	private $schedule;

	public function __construct( $schedule ) {
		$this->schedule = $schedule;
	}
	public function get_schedule() {
		return $this->schedule;
	}
}

abstract class ActionScheduler {
	public static $is_initialized = false;

	public static function is_initialized() {
		return self::$is_initialized;
	}
	public static function store() {
		return new T_Store();
	}
}

add_action(
	'init',
	function () {
		ActionScheduler::$is_initialized = true;
	},
	1
);

function t_group_id( $slug ) {
	global $wpdb;
	return (int) $wpdb->get_var( $wpdb->prepare( "SELECT group_id FROM {$wpdb->prefix}actionscheduler_groups WHERE slug = %s", $slug ) );
}

function as_get_scheduled_actions( $query ) {
	global $wpdb;
	$sql = $wpdb->prepare(
		"SELECT action_id, schedule, scheduled_date_gmt FROM {$wpdb->prefix}actionscheduler_actions WHERE hook = %s AND status = %s AND group_id = %d",
		$query['hook'], $query['status'], t_group_id( $query['group'] )
	);
	if ( isset( $query['args'] ) ) {
		$sql .= $wpdb->prepare( ' AND args = %s', wp_json_encode( $query['args'] ) );
	}
	$found = array();
	foreach ( $wpdb->get_results( "$sql ORDER BY scheduled_date_gmt" ) as $row ) {
		$interval = preg_match( '/IntervalSchedule.*recurrence";i:(\d+)/s', $row->schedule, $match ) ? (int) $match[1] : null;
		$found[ $row->action_id ] = new T_Action( new T_Schedule( strtotime( "{$row->scheduled_date_gmt} UTC" ), $interval ) );
	}
	return $found;
}

function as_schedule_single_action( $timestamp, $hook, $args, $group ) {
	return t_insert( $timestamp, $hook, $args, $group, 'O:30:"ActionScheduler_SimpleSchedule":0:{}' );
}

function as_schedule_recurring_action( $timestamp, $interval, $hook, $args, $group ) {
	$of = "\0ActionScheduler_IntervalSchedule\0";
	return t_insert(
		$timestamp, $hook, $args, $group,
		"O:32:\"ActionScheduler_IntervalSchedule\":5:{s:22:\"\0*\0scheduled_timestamp\";i:$timestamp;"
		. "s:18:\"\0*\0first_timestamp\";i:$timestamp;s:13:\"\0*\0recurrence\";i:$interval;"
		. "s:49:\"{$of}start_timestamp\";i:$timestamp;s:53:\"{$of}interval_in_seconds\";i:$interval;}"
	);
}

function t_insert( $timestamp, $hook, $args, $group, $schedule ) {
	global $wpdb;
	$wpdb->insert(
		"{$wpdb->prefix}actionscheduler_actions",
		array(
			'hook'                 => $hook,
			'status'               => 'pending',
			'scheduled_date_gmt'   => gmdate( 'Y-m-d H:i:s', $timestamp ),
			'scheduled_date_local' => gmdate( 'Y-m-d H:i:s', $timestamp ),
			'args'                 => wp_json_encode( $args ),
			'schedule'             => $schedule,
			'group_id'             => t_group_id( $group ),
		)
	);
	return $wpdb->insert_id;
}
