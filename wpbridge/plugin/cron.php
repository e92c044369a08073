<?php
/**
 * Plugin Name: wpbridge cron bridge
 * Description: Shows events that wpbridge has moved from WP-Cron to Action Scheduler to plugins that look for them in WP-Cron.
 *
 * Written by "wpbridge migrate wp-cron --bridge"; "--undo" takes it away. Changes made here are lost.
 * wpbridge-cron-file
 */

if ( ! defined( 'ABSPATH' ) || defined( 'WPBRIDGE_CRON' ) ) {
	return;
}
define( 'WPBRIDGE_CRON', '{"sites":{}}' );

// Declared inside a condition. Otherwise a second copy of this file would be a fatal error before its first line runs.
if ( ! class_exists( 'Wpbridge_Cron', false ) ) {

	/**
	 * Shows actions as events of WP-Cron, and turns new events into actions, for the hooks that were moved and for no other.
	 *
	 * Without Action Scheduler, WP-Cron works as usual. Code that asks before Action Scheduler is initialised ("early" below)
	 * is answered from its table. What such code schedules and unschedules is held back until Action Scheduler can do it.
	 * Written in the PHP of 5.6, for the sites that Action Scheduler 3.5 still serves.
	 */
	final class Wpbridge_Cron {

		/** WordPress treats an event within ten minutes of another as the same. */
		const SAME_SECONDS = 600;

		/** Longer args stand as their MD5 in the table's column of args. */
		const INDEXED_BYTES = 191;

		/** Whether this class is calling WP-Cron itself, so that its filters must not act. */
		private static $is_inside = false;

		/** Whether the time to wait for Action Scheduler is over: it is initialised, or the site has none. */
		private static $is_settled = false;

		/** What early questions have read, by query; null where the table cannot be read. */
		private static $read = array();

		/** Events that were scheduled early, each with its blog. */
		private static $held = array();

		/** Blogs of the actions that were unscheduled early, by table and action id. */
		private static $dropped = array();

		public static function listen() {
			// Action Scheduler is initialised at "init" with the priority 1; since 3.5.5 it says so. A request may end before.
			add_action( 'action_scheduler_init', array( __CLASS__, 'settle' ), -99, 0 );
			add_action( 'init', array( __CLASS__, 'settle' ), 2, 0 );
			add_action( 'shutdown', array( __CLASS__, 'settle' ), 1, 0 );
			add_filter( 'pre_get_scheduled_event', array( __CLASS__, 'get' ), 10, 4 );
			add_filter( 'pre_schedule_event', array( __CLASS__, 'schedule' ), 10, 2 );
			add_filter( 'pre_unschedule_event', array( __CLASS__, 'unschedule' ), 10, 4 );
			add_filter( 'pre_clear_scheduled_hook', array( __CLASS__, 'clear' ), 10, 3 );
			add_filter( 'pre_unschedule_hook', array( __CLASS__, 'clear_all' ), 10, 2 );
		}

		/** Returns the next event of a hook with these args, or the one at that date. */
		public static function get( $pre, $hook, $args, $timestamp ) {
			if ( null !== $pre || ! self::is_moved( $hook, $args ) ) {
				return $pre;
			}
			foreach ( self::events( $hook, $args, true ) as $event ) {
				if ( $event && ( ! $timestamp || (int) $timestamp === $event->timestamp ) ) {
					return $event;
				}
			}
			return $pre;
		}

		/** Turns a new event into an action, unless the same one is there already. */
		public static function schedule( $pre, $event ) {
			if ( null !== $pre || ! is_object( $event ) || ! self::is_moved( $event->hook, $event->args ) || ! self::is_storable( $event->args ) ) {
				return $pre;
			}
			$now   = time();
			$first = $event->timestamp < $now + self::SAME_SECONDS ? 0 : $event->timestamp - self::SAME_SECONDS;
			$last  = max( $event->timestamp, $now ) + self::SAME_SECONDS;
			foreach ( self::events( $event->hook, $event->args, false ) as $same ) {
				if ( $same && empty( $same->interval ) === empty( $event->interval ) && ( ! empty( $event->interval ) || ( $same->timestamp >= $first && $same->timestamp <= $last ) ) ) {
					return false;
				}
			}
			if ( ! self::is_ready() ) {
				self::$held[] = array( 'blog' => get_current_blog_id(), 'event' => $event );
				return true;
			}
			$event = apply_filters( 'schedule_event', $event );
			if ( ! $event ) {
				return false;
			}
			$id = empty( $event->interval )
				? as_schedule_single_action( $event->timestamp, $event->hook, $event->args, self::group() )
				: as_schedule_recurring_action( $event->timestamp, $event->interval, $event->hook, $event->args, self::group() );
			return $id ? true : $pre;
		}

		/** Cancels the action that stands for the event of one date, or leaves the event to WP-Cron. */
		public static function unschedule( $pre, $timestamp, $hook, $args ) {
			if ( null !== $pre || ! self::is_moved( $hook, $args ) ) {
				return $pre;
			}
			foreach ( self::events( $hook, $args, false ) as $id => $event ) {
				if ( $event && (int) $timestamp === $event->timestamp ) {
					self::drop( $id );
					return true;
				}
			}
			return $pre;
		}

		/** Removes all events of a hook with these args, here and in WP-Cron. */
		public static function clear( $pre, $hook, $args ) {
			if ( null !== $pre || ! self::is_moved( $hook, $args ) ) {
				return $pre;
			}
			return self::cancel( $hook, $args ) + self::in_wp_cron( 'wp_clear_scheduled_hook', array( $hook, $args ) );
		}

		/** Removes all events of a hook, here and in WP-Cron. */
		public static function clear_all( $pre, $hook ) {
			if ( null !== $pre || ! self::is_moved( $hook, null ) ) {
				return $pre;
			}
			return self::cancel( $hook, null ) + self::in_wp_cron( 'wp_unschedule_hook', array( $hook ) );
		}

		private static function cancel( $hook, $args ) {
			$ids = array_keys( self::events( $hook, $args, false ) );
			array_map( array( __CLASS__, 'drop' ), $ids );
			return count( $ids );
		}

		/** Cancels an action. Before Action Scheduler is ready, notes it for settle(), or forgets what was only held back. */
		private static function drop( $id ) {
			global $wpdb;
			if ( self::is_ready() ) {
				ActionScheduler::store()->cancel_action( $id );
			} elseif ( 0 === strpos( $id, 'held ' ) ) {
				unset( self::$held[ (int) substr( $id, 5 ) ] );
			} else {
				self::$dropped[ $wpdb->prefix ][ $id ] = get_current_blog_id();
			}
		}

		/**
		 * Does what was held back, first the cancelling. Without Action Scheduler the events go to WP-Cron.
		 * Until then a held event is nowhere else. If PHP is killed in between, the plugin schedules it at its next request.
		 */
		public static function settle() {
			self::$is_settled = true;
			$dropped          = self::$dropped;
			$held             = self::$held;
			self::$dropped    = array();
			self::$held       = array();
			self::$read       = array();
			foreach ( $dropped as $blogs ) {
				foreach ( $blogs as $id => $blog ) {
					self::on( $blog, 'cancel_pending', array( $id ) );
				}
			}
			foreach ( $held as $one ) {
				self::on( $one['blog'], 'add', array( $one['event'] ) );
			}
		}

		/** Calls a method of this class for one blog of a network. */
		private static function on( $blog, $method, $given ) {
			$is_other = get_current_blog_id() !== $blog;
			if ( $is_other ) {
				switch_to_blog( $blog );
			}
			call_user_func_array( array( __CLASS__, $method ), $given );
			if ( $is_other ) {
				restore_current_blog();
			}
		}

		/** Cancels an action unless a runner has begun it meanwhile, or it is gone. */
		private static function cancel_pending( $id ) {
			if ( ! self::is_ready() ) {
				return;
			}
			try {
				if ( ActionScheduler_Store::STATUS_PENDING === ActionScheduler::store()->get_status( $id ) ) {
					ActionScheduler::store()->cancel_action( $id );
				}
			} catch ( Exception $error ) {
				return;
			}
		}

		/** Schedules an event in the queue, or else in WP-Cron. */
		private static function add( $event ) {
			if ( null !== self::schedule( null, $event ) ) {
				return;
			}
			if ( empty( $event->interval ) ) {
				self::in_wp_cron( 'wp_schedule_single_event', array( $event->timestamp, $event->hook, $event->args ) );
			} else {
				self::in_wp_cron( 'wp_schedule_event', array( $event->timestamp, $event->schedule, $event->hook, $event->args ) );
			}
		}

		private static function in_wp_cron( $function, $given ) {
			self::$is_inside = true;
			$done            = (int) call_user_func_array( $function, $given );
			self::$is_inside = false;
			return $done;
		}

		/** Events that stand for actions, by id, the next one first; false for an action without a date. */
		private static function events( $hook, $args, $with_running ) {
			if ( ! self::is_ready() ) {
				return self::early( $hook, $args, $with_running );
			}
			$events = array();
			foreach ( self::actions( $hook, $args, $with_running ) as $id => $action ) {
				$events[ $id ] = self::event( $action, $hook, $args );
			}
			return $events;
		}

		/** What events() returns, from the table and from what this request has scheduled and unscheduled early. */
		private static function early( $hook, $args, $with_running ) {
			global $wpdb;
			$pending = array();
			$running = array();
			foreach ( (array) self::rows( $hook, $args ) as $row ) {
				$event = self::event_of_row( $row, $hook, $args );
				if ( 'pending' !== $row->status ) {
					$running[ $row->action_id ] = $event;
				} elseif ( ! isset( self::$dropped[ $wpdb->prefix ][ $row->action_id ] ) ) {
					$pending[ $row->action_id ] = $event;
				}
			}
			foreach ( self::$held as $number => $one ) {
				$event = $one['event'];
				if ( get_current_blog_id() === $one['blog'] && $hook === $event->hook && ( null === $args || $args === $event->args ) ) {
					$pending[ "held $number" ] = $event;
				}
			}
			if ( $pending || ! $with_running ) {
				return $pending;
			}
			return array_filter(
				$running,
				function ( $event ) {
					return $event && isset( $event->interval );
				}
			);
		}

		/** Pending and running actions of the group, as the plugin finds them. Null if the table cannot be read. */
		private static function rows( $hook, $args ) {
			global $wpdb;
			$sql   = "SELECT a.action_id, a.status, a.scheduled_date_gmt, a.schedule FROM {$wpdb->prefix}actionscheduler_actions a"
				. " JOIN {$wpdb->prefix}actionscheduler_groups g ON g.group_id = a.group_id"
				. " WHERE a.hook = %s AND g.slug = %s AND a.status IN ( 'pending', 'in-progress' )";
			$given = array( $hook, self::group() );
			if ( null !== $args ) {
				$json    = (string) wp_json_encode( $args );
				$sql    .= ' AND a.args = %s';
				$given[] = strlen( $json ) > self::INDEXED_BYTES ? md5( $json ) : $json;
			}
			$query = $wpdb->prepare( "$sql ORDER BY a.scheduled_date_gmt, a.action_id", $given );
			if ( ! array_key_exists( $query, self::$read ) ) {
				$was_silent           = $wpdb->suppress_errors( true );
				$found                = $wpdb->get_results( $query );
				self::$read[ $query ] = $wpdb->last_error ? null : $found;
				$wpdb->suppress_errors( $was_silent );
			}
			return self::$read[ $query ];
		}

		/** A row as WP-Cron would show it. The schedule is not made an object, since its class may not be loaded yet. */
		private static function event_of_row( $row, $hook, $args ) {
			$date = $row->scheduled_date_gmt ? (int) strtotime( "{$row->scheduled_date_gmt} UTC" ) : 0;
			if ( $date <= 0 ) {
				return false;
			}
			$is_recurring = preg_match( '/^O:\d+:"ActionScheduler_(Interval|Cron)Schedule"/', $row->schedule );
			$has_interval = preg_match( '/(?:recurrence|interval_in_seconds)";[ids]:(?:\d+:")?(\d+)/', $row->schedule, $match );
			return self::shown( $date, $hook, $args, $is_recurring ? (int) ( $has_interval ? $match[1] : 0 ) : null );
		}

		/** Pending actions of the group by id, the next one first. Without any, the running ones that repeat. */
		private static function actions( $hook, $args, $with_running ) {
			$query = array(
				'hook'     => $hook,
				'group'    => self::group(),
				'status'   => ActionScheduler_Store::STATUS_PENDING,
				'orderby'  => 'date',
				'order'    => 'ASC',
				'per_page' => -1,
			);
			if ( null !== $args ) {
				$query['args'] = $args;
			}
			$found = as_get_scheduled_actions( $query );
			if ( $with_running && ! $found ) {
				$query['status'] = ActionScheduler_Store::STATUS_RUNNING;
				foreach ( as_get_scheduled_actions( $query ) as $id => $action ) {
					if ( $action->get_schedule()->is_recurring() ) {
						$found[ $id ] = $action;
					}
				}
			}
			return $found;
		}

		/** An action as WP-Cron would show it, or false if it has no date. */
		private static function event( $action, $hook, $args ) {
			$schedule = $action->get_schedule();
			$date     = $schedule->get_date();
			if ( ! $date ) {
				return false;
			}
			$is_recurring = $schedule->is_recurring() && method_exists( $schedule, 'get_recurrence' );
			return self::shown( (int) $date->getTimestamp(), $hook, $args, $is_recurring ? (int) $schedule->get_recurrence() : null );
		}

		private static function shown( $timestamp, $hook, $args, $interval ) {
			$event = array(
				'hook'      => $hook,
				'timestamp' => $timestamp,
				'schedule'  => false,
				'args'      => $args,
			);
			if ( null !== $interval ) {
				$event['interval'] = $interval;
				$event['schedule'] = self::recurrence( $interval );
			}
			return (object) $event;
		}

		/** The name of an interval. WordPress's own come first, because asking all plugins early may load their translations too early. */
		private static function recurrence( $interval ) {
			$own = array(
				HOUR_IN_SECONDS      => 'hourly',
				12 * HOUR_IN_SECONDS => 'twicedaily',
				DAY_IN_SECONDS       => 'daily',
			);
			if ( isset( $own[ $interval ] ) ) {
				return $own[ $interval ];
			}
			foreach ( wp_get_schedules() as $name => $schedule ) {
				if ( (int) $schedule['interval'] === $interval ) {
					return $name;
				}
			}
			return "every_{$interval}_seconds";
		}

		/** Tells whether JSON can hold the args unchanged. If not, the event stays in WP-Cron. */
		private static function is_storable( $args ) {
			$json = wp_json_encode( $args );
			return is_string( $json ) && strlen( $json ) <= 8000 && json_decode( $json, true ) === $args;
		}

		/** Tells whether the events of a hook were moved, and its actions can be found just now. */
		private static function is_moved( $hook, $args ) {
			$site = self::site();
			return ! self::$is_inside && isset( $site['hooks'][ $hook ] )
				&& ( self::is_ready() || ( ! self::$is_settled && null !== self::rows( $hook, $args ) ) );
		}

		private static function is_ready() {
			// Action Scheduler before 3.5.5 says that it is initialised before it knows its tables, so wait for settle().
			return self::$is_settled && class_exists( 'ActionScheduler', false ) && ActionScheduler::is_initialized();
		}

		private static function group() {
			$site = self::site();
			return isset( $site['group'] ) ? $site['group'] : '';
		}

		private static function site() {
			global $wpdb;
			$told = json_decode( WPBRIDGE_CRON, true );
			return isset( $told['sites'][ $wpdb->prefix ] ) ? $told['sites'][ $wpdb->prefix ] : array();
		}
	}

	Wpbridge_Cron::listen();
}
