<?php
/**
 * Puts a batch of calls to a site's own PHP and tells what each gave: JSON in, JSON out.
 *
 *     php queue.php FOLDER [admin] < [["as_next_scheduled_action", "hook", null, ""], ...]
 *
 * @package wpbridge
 */

$_SERVER['HTTP_HOST'] = 'site.test';
if ( in_array( 'admin', $argv, true ) ) {
	define( 'WP_ADMIN', true );
	$_SERVER['REQUEST_URI'] = '/wp-admin/tools.php?page=action-scheduler';
}
// Releases from 4.0 on ask for a WordPress that may be newer than the one here.
$wp_filter = array(
	'muplugins_loaded' => array(
		array(
			array(
				'function'      => function () {
					if ( ! function_exists( 'wp_is_serving_rest_request' ) ) {
						eval( 'function wp_is_serving_rest_request() { return false; }' );
					}
				},
				'accepted_args' => 0,
			),
		),
	),
);
$q_calls      = json_decode( stream_get_contents( STDIN ), true, 2048, JSON_THROW_ON_ERROR );
$q_complaints = array();
require $argv[1] . '/wp-load.php';

error_reporting( E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED );
set_error_handler(
	function ( $level, $text, $file, $line ) {
		global $q_complaints;
		if ( error_reporting() & $level ) {
			$q_complaints[] = "$text in $file:$line";
		}
		return true;
	}
);
add_action(
	'doing_it_wrong_run',
	function ( $function_name, $message ) {
		$GLOBALS['q_complaints'][] = "$function_name: $message";
	},
	10,
	2
);

/** Actions as the plugin's own old store of posts writes them, each with a comment of its old logger. */
function q_post_store() {
	$store = new ActionScheduler_wpPostStore();
	$store->init();
	$logger = new ActionScheduler_wpCommentLogger();
	$at     = new DateTime( '2026-03-01 10:00:00', new DateTimeZone( 'UTC' ) );
	$made   = array();
	$kinds  = array(
		'p_single'   => new ActionScheduler_SimpleSchedule( $at ),
		'p_interval' => new ActionScheduler_IntervalSchedule( $at, 3600 ),
		'p_cron'     => new ActionScheduler_CronSchedule( $at, CronExpression::factory( '0 3 * * *' ) ),
		'p_null'     => new ActionScheduler_NullSchedule(),
		'p_canceled' => new ActionScheduler_SimpleSchedule( $at ),
	);
	foreach ( $kinds as $hook => $schedule ) {
		$id = $store->save_action( new ActionScheduler_Action( $hook, array( 'id' => 7, 'to' => array( 'x' ) ), $schedule, 'old group' ) );
		$logger->log( $id, 'action created', $at );
		$made[ $hook ] = $id;
	}
	$store->cancel_action( $made['p_canceled'] );
	return $made;
}

/** What the plugin makes of a stored action; the date after each of some moments, too. */
function q_action( $id, $afters = array() ) {
	$store    = ActionScheduler::store();
	$action   = $store->fetch_action( $id );
	$schedule = $action->get_schedule();
	$recurs   = $schedule->is_recurring();
	$date     = $schedule->get_date();
	$told     = array(
		'class'      => get_class( $action ),
		'hook'       => $action->get_hook(),
		'args'       => $action->get_args(),
		'group'      => $action->get_group(),
		'priority'   => method_exists( $action, 'get_priority' ) ? $action->get_priority() : 10,
		'finished'   => $action->is_finished(),
		'schedule'   => get_class( $schedule ),
		'date'       => $date ? $date->getTimestamp() : null,
		'recurrence' => $recurs ? (string) $schedule->get_recurrence() : null,
		'first'      => $recurs ? $schedule->get_first_date()->getTimestamp() : null,
		'next'       => array(),
		'logs'       => array(),
	);
	foreach ( $afters as $after ) {
		try {
			$next           = $schedule->get_next( as_get_datetime_object( $after ) );
			$told['next'][] = $next ? $next->getTimestamp() : null;
		} catch ( RuntimeException $e ) {
			$told['next'][] = $e->getMessage();
		}
	}
	if ( ! is_a( $action, 'ActionScheduler_NullAction' ) ) {
		$told['status']  = $store->get_status( $id );
		$told['claim']   = $store->get_claim_id( $id );
		$told['dated']   = $store->get_date( $id )->getTimestamp();
	}
	foreach ( ActionScheduler::logger()->get_logs( $id ) as $entry ) {
		$told['logs'][] = $entry->get_message();
	}
	return $told;
}

/** Several of them. */
function q_actions( $ids ) {
	return array_map( 'q_action', $ids );
}

/** Does something with the tables as somebody kept them; which pending actions are then canceled. */
function q_restored( $what, ...$arguments ) {
	global $wpdb;
	foreach ( array( 'actions', 'logs' ) as $name ) {
		$wpdb->query( "DELETE FROM {$wpdb->prefix}actionscheduler_$name" );
		$wpdb->query( "INSERT INTO {$wpdb->prefix}actionscheduler_$name SELECT * FROM kept_$name" );
	}
	$given = $what( ...$arguments );
	$ids   = $wpdb->get_col( "SELECT a.action_id FROM {$wpdb->prefix}actionscheduler_actions a JOIN kept_actions k ON k.action_id = a.action_id WHERE a.status = 'canceled' AND k.status <> 'canceled' ORDER BY 1" );
	return array( $given, array_map( 'intval', $ids ) );
}

/** One run of the plugin's own runner; how many actions it processed. */
function q_run() {
	return ActionScheduler_QueueRunner::instance()->run( 'WP CLI' );
}

/** One pass of the plugin's cleaner; the ids it deleted, which old releases do not return. */
function q_clean() {
	global $wpdb;
	$all    = "SELECT action_id FROM {$wpdb->prefix}actionscheduler_actions ORDER BY action_id";
	$before = $wpdb->get_col( $all );
	( new ActionScheduler_QueueCleaner() )->delete_old_actions();
	return array_map( 'intval', array_values( array_diff( $before, $wpdb->get_col( $all ) ) ) );
}

/** All that the plugin's cleaner does with a run: old actions, stale claims, stuck actions. */
function q_clean_all() {
	( new ActionScheduler_QueueCleaner( null, 1000 ) )->clean();
}

/** The release of the plugin that runs here. */
function q_release() {
	return ActionScheduler_Versions::instance()->latest_version();
}

/** The admin's screen of actions with a status, as text. */
function q_screen( $status ) {
	require_once ABSPATH . 'wp-admin/includes/admin.php';
	wp_set_current_user( 1 );
	set_current_screen( 'tools_page_action-scheduler' );
	$_GET['status']     = $status;
	$_REQUEST['status'] = $status;
	ob_start();
	ActionScheduler_AdminView::instance()->render_admin_ui();
	return wp_strip_all_tags( ob_get_clean() );
}

$q_told = array();
foreach ( $q_calls as $q_call ) {
	try {
		$q_told[] = array( 'gave' => call_user_func_array( array_shift( $q_call ), $q_call ) );
	} catch ( Throwable $e ) {
		$q_told[] = array( 'threw' => get_class( $e ) . ': ' . $e->getMessage() );
	}
}
restore_error_handler();
echo "\n", json_encode( array( $q_told, $q_complaints ), JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR, 2048 );
