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
	 * Without Action Scheduler, or before it is loaded, WP-Cron works as usual.
	 * Written in the PHP of 5.6, for the sites that Action Scheduler 3.5 still serves.
	 */
	final class Wpbridge_Cron {

		/** WordPress treats an event within ten minutes of another as the same. */
		const SAME_SECONDS = 600;

		/** Whether this class is calling WP-Cron itself, so that its filters must not act. */
		private static $is_inside = false;

		public static function listen() {
			add_filter( 'pre_get_scheduled_event', array( __CLASS__, 'get' ), 10, 4 );
			add_filter( 'pre_schedule_event', array( __CLASS__, 'schedule' ), 10, 2 );
			add_filter( 'pre_unschedule_event', array( __CLASS__, 'unschedule' ), 10, 4 );
			add_filter( 'pre_clear_scheduled_hook', array( __CLASS__, 'clear' ), 10, 3 );
			add_filter( 'pre_unschedule_hook', array( __CLASS__, 'clear_all' ), 10, 2 );
		}

		/** Returns the next event of a hook with these args, or the one at that date. */
		public static function get( $pre, $hook, $args, $timestamp ) {
			if ( null !== $pre || ! self::is_moved( $hook ) ) {
				return $pre;
			}
			foreach ( self::actions( $hook, $args, true ) as $action ) {
				$event = self::event( $action, $hook, $args );
				if ( $event && ( ! $timestamp || (int) $timestamp === $event->timestamp ) ) {
					return $event;
				}
			}
			return $pre;
		}

		/** Turns a new event into an action, unless the same one is there already. */
		public static function schedule( $pre, $event ) {
			if ( null !== $pre || ! is_object( $event ) || ! self::is_moved( $event->hook ) || ! self::is_storable( $event->args ) ) {
				return $pre;
			}
			$now   = time();
			$first = $event->timestamp < $now + self::SAME_SECONDS ? 0 : $event->timestamp - self::SAME_SECONDS;
			$last  = max( $event->timestamp, $now ) + self::SAME_SECONDS;
			foreach ( self::actions( $event->hook, $event->args, false ) as $action ) {
				$same = self::event( $action, $event->hook, $event->args );
				if ( $same && empty( $same->interval ) === empty( $event->interval ) && ( ! empty( $event->interval ) || ( $same->timestamp >= $first && $same->timestamp <= $last ) ) ) {
					return false;
				}
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
			if ( null !== $pre || ! self::is_moved( $hook ) ) {
				return $pre;
			}
			foreach ( self::actions( $hook, $args, false ) as $id => $action ) {
				$event = self::event( $action, $hook, $args );
				if ( $event && (int) $timestamp === $event->timestamp ) {
					ActionScheduler::store()->cancel_action( $id );
					return true;
				}
			}
			return $pre;
		}

		/** Removes all events of a hook with these args, here and in WP-Cron. */
		public static function clear( $pre, $hook, $args ) {
			if ( null !== $pre || self::$is_inside || ! self::is_moved( $hook ) ) {
				return $pre;
			}
			return self::cancel( $hook, $args ) + self::in_wp_cron( 'wp_clear_scheduled_hook', array( $hook, $args ) );
		}

		/** Removes all events of a hook, here and in WP-Cron. */
		public static function clear_all( $pre, $hook ) {
			if ( null !== $pre || self::$is_inside || ! self::is_moved( $hook ) ) {
				return $pre;
			}
			return self::cancel( $hook, null ) + self::in_wp_cron( 'wp_unschedule_hook', array( $hook ) );
		}

		private static function cancel( $hook, $args ) {
			$ids = array_keys( self::actions( $hook, $args, false ) );
			array_map( array( ActionScheduler::store(), 'cancel_action' ), $ids );
			return count( $ids );
		}

		private static function in_wp_cron( $function, $given ) {
			self::$is_inside = true;
			$done            = (int) call_user_func_array( $function, $given );
			self::$is_inside = false;
			return $done;
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
			$event = array(
				'hook'      => $hook,
				'timestamp' => (int) $date->getTimestamp(),
				'schedule'  => false,
				'args'      => $args,
			);
			if ( $schedule->is_recurring() && method_exists( $schedule, 'get_recurrence' ) ) {
				$event['interval'] = (int) $schedule->get_recurrence();
				$event['schedule'] = self::recurrence( $event['interval'] );
			}
			return (object) $event;
		}

		private static function recurrence( $interval ) {
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

		private static function is_moved( $hook ) {
			$site = self::site();
			return isset( $site['hooks'][ $hook ] )
				&& class_exists( 'ActionScheduler', false ) && ActionScheduler::is_initialized();
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
